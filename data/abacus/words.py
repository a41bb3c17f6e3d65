"""The words the questions are made of: short, common, each a token or two."""

NAMES = ("Ana", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Ida", "Jan", "Kim", "Leo", "Mia", "Nora", "Omar")
NOUNS = ("coins", "pens", "cards", "shells", "books", "nuts", "stamps", "beads", "apples", "keys")
VEHICLES = ("bus", "train", "boat", "tram", "plane")
CONSONANTS = "bdfgklmnprstvz"
VOWELS = "aeiou"
NUMBER_WORDS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
