"""Names that hold what stands between names."""

import pytest

from dfcvae_tf.errors import UserError
from dfcvae_tf.names import read_list

KNOWN = ("Blond", "Gray", "Blond,Gray", "Bald", 'a "b",c', "+")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("Blond , Bald", ("Blond", "Bald")),
        ("Bald,Blond,+", ("Bald", "Blond", "+")),
        ('"Blond,Gray",Bald', ("Blond,Gray", "Bald")),
        ('"Blond","Gray"', ("Blond", "Gray")),
        ('a "b",c,Gray', ('a "b",c', "Gray")),
        ('Gray,"a ""b"",c"', ("Gray", 'a "b",c')),
    ],
)
def test_the_known_names_decide(text, names):
    assert read_list(text, "attribute", KNOWN) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Bald,Blond,Gray", 'as "Bald","Blond","Gray" and as "Bald","Blond,Gray"; wr'),
        ("Blond,Gry", "unknown attribute 'Gry'"),
        ('"Gry",Bald', "unknown attribute"),
        ("Bald,,Gray", "lacks an attribute; give names with commas"),
        ("Bald,", "lacks an attribute"),
    ],
)
def test_what_cannot_be_read_or_in_two_ways_is_refused(text, message):
    with pytest.raises(UserError, match=message):
        read_list(text, "attribute", KNOWN)


def test_many_ways_to_read_a_long_text_take_no_time():
    with pytest.raises(UserError, match="can be read as"):
        read_list(",".join(["Blond,Gray"] * 200), "attribute", KNOWN)
