"""`python3 docs/verify/python/verify_lines.py`: does what it is told line by line, as docs/verify/README.md says, so that a test can have it do several things at once."""

import os
import sys
import threading

from verify_passport import PassportRefused, PassportVerifier

clocks = {"wall": 0.0, "monotonic": 0.0}
printing = threading.Lock()


def answer(verify, name, passports):
    try:
        verify(passports if len(passports) > 1 else "".join(passports) or None)
        said = "accepted"
    except PassportRefused as refused:
        said = str(refused)
    with printing:
        print(name, said, flush=True)


def main():
    verify = None
    for line in sys.stdin:
        word, *values = line.split()
        if word == "verifier":
            verify = PassportVerifier(*values, now=lambda: clocks["wall"], monotonic=lambda: clocks["monotonic"])
        elif word == "clocks":
            clocks.update(zip(("wall", "monotonic"), map(float, values)))
        else:
            threading.Thread(target=answer, args=(verify, values[0], values[1:]), daemon=True).start()
    os._exit(0)


main()
