"""What a machine has: slots, GPUs, disks, scratch folders, and the failures a stage may report.
Imports `data` alone.
"""

DECIDES_NO_RESULT = True
