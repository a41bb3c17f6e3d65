"""Methods, one file each, with one subclass of `Method`; its name is the file's.
Import `kinds`, `models`, `training` and `scoring`; a new method is one new file here.
"""
