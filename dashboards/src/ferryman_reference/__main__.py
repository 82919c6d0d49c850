"""Writes the tables of docs/operator.md anew; the rest of the page is written by people.

python -m ferryman_reference
"""

from ferryman_reference.page import PAGE, written

if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(PAGE)
