"""What predictors are computed from: training sets as the untrained student reads them, and contexts to read them in.
Imports `kinds`, `models`, `scoring`, `steps` and `storage`; never a predictor by name.
"""
