"""Results as TAP: a decorated function is a case, in the order of the file."""
import sys
import traceback

failed = 0
count = 0


def case(name):
    def run(body):
        global count, failed
        count += 1
        try:
            body()
            print("ok", count, name)
        except Exception:
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("#", line)
            print("not ok", count, name)
        sys.stdout.flush()
    return run


def end():
    print("1..%d" % count)
    sys.exit(1 if failed else 0)
