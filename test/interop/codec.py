#!/usr/bin/python3
"""codec.py CODEC [COUNT [SEED]] - our codecs against Python's.

Random messages go both ways through the binary form and JSON; odd texts must
be taken or refused alike, but for the differences that are listed with their
reason. TAP on stdout."""
import json
import math
import multiprocessing
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def schema():
    """The Python classes of all.proto."""
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run(["protoc", "-I", HERE.parent / "unit",
                        "--python_out", tmp, "all.proto"], check=True)
        sys.path.insert(0, tmp)
        import all_pb2
    return all_pb2


ALL = schema()
from google.protobuf import json_format  # noqa: E402

BATCH = 500  # messages

INTS = [0, 1, -1, 127, 128, 2**31 - 1, -2**31, 2**53 + 1, 2**63 - 1, -2**63]
REALS = [0.0, 1.0, -1.5, 0.1, 1e300, 5e-324, math.inf, -math.inf, math.nan,
         2.0**53, 1e22, 123456789.125]
TEXTS = ["", "a", '"\\', "\n\t\x01", "é", "😀", "\u2028", "</script>", "\x7f"]


def fit(value, kind):
    bits = 64 if "64" in kind else 32
    value &= 2**bits - 1
    signed = not kind.startswith(("uint", "fixed"))
    return value - 2**bits if signed and value >> (bits - 1) else value


def whole(r, kind):
    pick = r.choice(INTS + [r.getrandbits(r.randrange(1, 65))])
    return fit(pick, kind)


def real(r):
    if r.random() < 0.5:
        return r.choice(REALS)
    value = struct.unpack("<d", r.randbytes(8))[0]
    return 0.25 if math.isnan(value) else value


def single(r):
    return as_float(real(r)) or 0.0  # -0.0: see KNOWN


def text(r):
    return "".join(r.choice(TEXTS) for _ in range(r.randrange(4)))


def fill(m, r, depth):
    """Set about half of the fields."""
    def want():
        return r.random() < 0.5
    for kind in ("int32", "sint32", "sfixed32", "int64", "sint64", "sfixed64",
                 "uint32", "fixed32", "uint64", "fixed64"):
        if want():
            name = ("an_" if kind[0] == "i" else "a_") + kind
            setattr(m, name, whole(r, kind))
    if want():
        m.a_float = single(r)
    if want():
        m.a_double = real(r)
    m.a_bool = want()
    m.colour = r.choice([0, 1, -3, 77])
    m.text = text(r)
    m.data = r.randbytes(r.randrange(5))
    for _ in range(r.randrange(3)):
        m.longs.append(whole(r, "int64"))
        m.texts.append(text(r))
        m.datas.append(r.randbytes(r.randrange(5)))
        m.colours.append(r.choice([0, 1, -3, 77]))
        m.doubles.append(real(r))
        m.bools.append(want())
        m.string_map[text(r)] = text(r)
        m.bool_map[want()] = r.choice([0, 1, -3])
        m.uint_map[whole(r, "uint32")] = real(r)
        m.pairs.add(key=text(r), value=text(r))
    if depth and want():
        fill(m.sub, r, depth - 1)
        fill(m.subs.add(), r, depth - 1)
        fill(m.long_map[whole(r, "int64")], r, depth - 1)
    if want():
        m.ratio = real(r)
    setattr(m, "_odd__name_9x", text(r))
    which = r.randrange(5)
    if which == 0:
        m.one_text = text(r)
    elif which == 1:
        m.one_sub.SetInParent()
    elif which == 2:
        m.one_int32 = whole(r, "int32")
    elif which == 3:
        m.one_data = r.randbytes(r.randrange(3))
    return m


def ask(codec, lines):
    """One answer per line."""
    done = subprocess.run([codec], input="".join(x + "\n" for x in lines),
                          stdout=subprocess.PIPE, check=True, text=True,
                          encoding="utf-8", errors="surrogateescape")
    answers = done.stdout.split("\n")[:-1]
    assert len(answers) == len(lines), (len(answers), len(lines))
    return answers


def canonical(m):
    return m.SerializeToString(deterministic=True)


def as_float(value):
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return value


def same(ours, theirs):
    """The same JSON value; reals may differ in how they are spelled, and
    floats in digits that a float does not have."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(
            same(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, float) or isinstance(theirs, float):
        return float(ours) == float(theirs) or as_float(ours) == as_float(theirs)
    return ours == theirs


def check_batch(codec, count, seed):
    r = random.Random(seed)
    messages = [fill(ALL.All(), r, 2) for _ in range(count)]
    bad = []
    lines = ["b " + m.SerializeToString().hex() for m in messages]
    texts = [json_format.MessageToJson(m, indent=None, ensure_ascii=False)
             for m in messages]
    lines += ["j " + t for t in texts]
    answers = ask(codec, lines)
    for i, answer in enumerate(answers):
        m, theirs = messages[i % count], texts[i % count]
        if answer.startswith("!"):
            bad.append((i, answer, lines[i]))
            continue
        data, ours = answer.split("\t", 1)
        if not same(json.loads(ours), json.loads(theirs)):
            bad.append((i, "JSON differs", ours, theirs))
        elif canonical(json_format.Parse(ours, ALL.All())) != canonical(m):
            bad.append((i, "our JSON reads otherwise", ours))
        elif canonical(ALL.All.FromString(bytes.fromhex(data))) \
                != canonical(m):
            bad.append((i, "binary differs", ours, theirs))
    return bad


def check_both_ways(codec, count, seed):
    """In batches, each of a seed of its own, on all cores."""
    batches = [(codec, min(BATCH, count - at), seed + at // BATCH)
               for at in range(0, count, BATCH)]
    with multiprocessing.Pool() as pool:
        return sum(pool.starmap(check_batch, batches), [])


# Values for a field, to be taken or refused alike.
ODD = {
    "anInt32": ["1", "-0", "1.0", "1.5", "1e2", '"1"', '"1.0"', '"1e2"', '""',
                '" 1"', '"+1"', '"0x1"', "2147483648", "-2147483648",
                "-2147483649", "true", "null", "[]", "{}", '"abc"', '"007"'],
    "anInt64": ["9223372036854775807", "9223372036854775808",
                '"9223372036854775808"', "-9223372036854775808", "1e18",
                "1e19"],
    "aUint64": ["18446744073709551615", "18446744073709551616", "-1",
                '"18446744073709551615"', '"-1"'],
    "aUint32": ["4294967295", "4294967296", '"-1"'],
    "aFloat": ["1", "0.1", "3.4028235e38", "3.5e38", '"NaN"', '"nan"',
               '"Infinity"', '"-Infinity"', '"1.5"', '""', "true", "1e-50"],
    "aDouble": ["1", "-0", "-0.0", "1e308", "1e400", '"1e400"', '"x"',
                "10000000000000000000000", '"1,5"'],
    "aBool": ["true", "false", '"true"', "1", "null"],
    "colour": ['"RED"', '"red"', "1", "77", "-3", "1.5", "1.0", "null",
               "2147483648", '"BLUE"'],
    "text": ['"a"', "1", "null", "true", '"\\ud83d\\ude00"', '"\\ud83d"',
             '"\\u00e9"', "[]"],
    "data": ['"AA=="', '"AA"', '"-_-_"', '"+/+/"', '"A"', '"A==="', "1",
             '"?"', '""'],
    "longs": ["[]", "[1,\"2\"]", "[null]", "1", "{}", "null", "[[1]]"],
    "stringMap": ["{}", '{"a":"b"}', '{"a":null}', '{"a":1}', "[]", "null"],
    "uintMap": ['{"1":1}', '{"-1":1}', '{"x":1}', '{"4294967296":1}'],
    "boolMap": ['{"true":1}', '{"false":"RED"}', '{"1":1}', '{"True":1}'],
    "longMap": ['{"1":{}}', '{"1":null}', '{"1":1}'],
    "sub": ["{}", "null", "[]", "1", '{"text":"x"}', '{"x":1}'],
    "subs": ["[]", "[{}]", "[null]", "{}"],
    "oneText": ['"x"', '""', "null", '"x","oneInt32":1',
                '"x","oneInt32":null'],
    "an_int32": ["1", '1,"anInt32":2', '1,"an_int32":2'],
    "noSuchField": ["1", "null"],
}

# Where we decide otherwise, and why.
KNOWN = {
    '{"anInt32":"+1"}': "JSON's numbers have no plus",
    '{"aFloat":3.4028235e38}': "the largest float; Python compares too early",
    '{"aFloat":true}': "in Python a bool is a number",
    '{"aDouble":-0.0}': "protobuf-c does not send -0.0, which it deems unset",
    '{"aDouble":"1e400"}': "out of range, as it is without quotes",
    '{"colour":1.5}': "Python cuts the fraction",
    '{"data":"?"}': "Python skips what is no base64",
    '{"sub":[]}': "Python iterates over it, as over an empty object",
    '{"an_int32":1,"anInt32":2}': "the same field twice; Python takes the last",
}


def taken_by_python(line):
    try:
        m = json_format.Parse(line, ALL.All())
    except (json_format.ParseError, ValueError, TypeError, OverflowError) as e:
        return None, str(e)
    return canonical(m), ""


def check_odd(codec):
    lines = ["{\"%s\":%s}" % (field, value)
             for field, values in ODD.items() for value in values]
    bad = []
    for line, answer in zip(lines, ask(codec, ["j " + x for x in lines])):
        theirs, why = taken_by_python(line)
        ours = None
        if not answer.startswith("!"):
            data = bytes.fromhex(answer.split("\t")[0])
            ours = canonical(ALL.All.FromString(data))
        if ours != theirs and line not in KNOWN:
            bad.append((line, "ours", answer, "theirs", theirs, why))
        elif ours == theirs and line in KNOWN:
            bad.append((line, "no difference any more"))
    return bad


def verdict(number, name, bad):
    for one in bad[:20]:
        print("#", *one)
    print("not ok" if bad else "ok", number, name)
    return bool(bad)


def main():
    codec = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    failed = verdict(1, "%d random messages, seed %d" % (count, seed),
                     check_both_ways(codec, count, seed))
    failed |= verdict(2, "odd texts are judged alike", check_odd(codec))
    print("1..2")
    return failed


if __name__ == "__main__":
    sys.exit(main())
