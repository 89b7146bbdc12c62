# Prints what the kernel's own tools/testing/kunit/kunit_parser.py makes of logs, as JSON: for each file a list of
# [name with its suites, status] of the tests that have none of their own.
# Usage: python3 oracle.py DIRECTORY_OF_KUNIT_PARSER FILE ...
import contextlib, io, json, sys

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
with contextlib.redirect_stdout(io.StringIO()):  # its printer takes the output that is there now
    import kunit_parser


def leaves(test, path):
    path = path + [test.name]
    if not test.subtests:
        return [["/".join(path), test.status.name]]
    return [leaf for sub in test.subtests for leaf in leaves(sub, path)]


out = {}
for name in sys.argv[2:]:
    with open(name, errors="replace") as f:
        root = kunit_parser.parse_run_tests(f.readlines())
    out[name.rsplit("/", 1)[-1]] = [leaf for sub in root.subtests for leaf in leaves(sub, [])]
print(json.dumps(out))
