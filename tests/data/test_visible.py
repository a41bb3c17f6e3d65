"""Characters that nobody sees, or that are obeyed, are shown; those that are letters are not touched."""

import json
import unicodedata

import pytest

from data.visible import all_visible, in_json, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b[31m", r"\x1b[2J\x1b[31m"),
        ("\x1b]0;owned\a", r"\x1b]0;owned\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("a\rb\x08\x7f\0", r"a\rb\x08\x7f\x00"),
        ("\u202elive\u202c", r"\u202elive\u202c"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("half \ud83d", r"half \ud83d"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("é, 漢字, שלום, می‌خواهم, 👨‍👩‍👧, ❤️, –", "é, 漢字, שלום, می‌خواهم, 👨‍👩‍👧, ❤️, –"),
    ],
)
def test_a_terminal_is_told_nothing(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert all_visible(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("e\u200bvil", r"e\u200bvil"),
        ("e\u200dvil e\ufe0f", r"e\u200dvil e\ufe0f"),
        ("\ufeff18\u00ad\u2060", r"\ufeff18\xad\u2060"),
        ("18\U000e0031", r"18\U000e0031"),
    ],
)
def test_a_page_shows_what_has_no_width(text: str, shown: str) -> None:
    assert all_visible(text) == shown


def test_every_control_and_format_character_is_shown_beside_latin_letters() -> None:
    letters = (chr(number) for number in range(0x110000))
    unseen = [letter for letter in letters if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    drawn = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, *range(0x110BD, 0x110CE)}
    drawn |= set(range(0x13430, 0x13440))  # Egyptian; the others are Arabic, Syriac and Kaithi
    kept = [letter for letter in unseen if all_visible(f"a{letter}") == f"a{letter}"]
    assert {ord(letter) for letter in kept} - {9, 10} <= drawn


@pytest.mark.parametrize("text", ["\x1b[2J", "\u202e", "\x9b", "half \ud83d", 'a"b\\'])
def test_json_is_read_as_before(text: str) -> None:
    written = in_json(json.dumps({text: text}, ensure_ascii=False))
    assert json.loads(written) == {text: text}
    assert visible(written) == written
