"""What is run: study files, plans, the study flow, the command line.

Imports go one way: config <- planning <- server <- results <- ui <- execution <- study <- deployment <- cli <- main.
"""
