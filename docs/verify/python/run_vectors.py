"""`python3 docs/verify/python/run_vectors.py docs/verify/vectors.json`: tries the verifier against every vector; ends with 1 when one comes out otherwise."""

import json
import sys

from verify_passport import PassportRefused, PassportVerifier


def said(document, vector):
    """Empty for accepted, else the reason."""
    verify = PassportVerifier(
        document["issuer"],
        document["audience"],
        "",
        now=lambda: vector["now"],
        read_key_set=lambda: json.dumps(document["keySets"][vector["keySet"]]),
    )
    try:
        verify(vector["token"])
        return ""
    except PassportRefused as refused:
        return str(refused)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    wrong = 0
    for vector in document["vectors"]:
        reason = said(document, vector)
        if reason != vector.get("reason", ""):
            wrong += 1
            print(f"{vector['name']}: {reason or 'accepted'}, should be {vector.get('reason', 'accepted')}", file=sys.stderr)
    count = len(document["vectors"])
    print(f"python: {count - wrong} of {count} vectors as they should be")
    sys.exit(0 if wrong == 0 else 1)


main()
