"""Remarks on tunes out of a user's STIL.txt."""

from __future__ import annotations

from sidlearn import sources
from sidlearn.c64 import stil
from tests.c64.tunes import COUNTER, sid

LIST = """# a remark
/MUSICIANS/N/Nobody/Other.sid
COMMENT: another file

/MUSICIANS/N/Nobody/Tune.sid
COMMENT: "Written for the tests,
         in two lines"
(#1)
  TITLE: First
(#2)
  TITLE: Second [from somewhere]
 ARTIST: Somebody

/MUSICIANS/N/Nobody/Zzz.sid
COMMENT: not this
"""


def test_the_entry_of_a_song_is_found():
    assert stil.entry(LIST, "/MUSICIANS/N/Nobody/Tune.sid", 2) == [
        ("comment", '"Written for the tests, in two lines"'),
        ("title", "Second [from somewhere]"),
        ("artist", "Somebody"),
    ]
    assert stil.entry(LIST, "/MUSICIANS/N/Nobody/Tune.sid", 1)[-1] == ("title", "First")
    assert stil.entry(LIST, "/MUSICIANS/N/Nobody/None.sid", 1) == []


def test_info_tells_it(tmp_path):
    folder = tmp_path / "MUSICIANS" / "N" / "Nobody"
    folder.mkdir(parents=True)
    (tmp_path / "DOCUMENTS").mkdir()
    (tmp_path / "DOCUMENTS" / "STIL.txt").write_text(LIST)
    (folder / "Tune.sid").write_bytes(sid(COUNTER, songs=2))
    performance = sources.open_source(folder / "Tune.sid", sources.Request(song=2))
    facts = dict(performance.facts())
    assert facts["STIL title"] == "Second [from somewhere]"
    assert "in two lines" in facts["STIL comment"]
