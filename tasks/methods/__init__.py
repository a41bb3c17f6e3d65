"""Methods, one file each, with one subclass of `Method`; its name is the file's.
Import `data`, `kinds`, `models`, `storage` and `resources`; a new method is one new file here.
"""
