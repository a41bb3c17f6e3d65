"""The abacus world: families of small questions, each with a gold answer, said in several registers."""

from data.abacus.families import FAMILIES
from data.abacus.questions import questions
from data.abacus.registers import REGISTERS, respond
from data.abacus.splits import SPLITS

__all__ = ["FAMILIES", "REGISTERS", "SPLITS", "questions", "respond"]
