#!/bin/sh
# Builds the wheel, installs it into a fresh .venv-wheel, and uses it outside of the checkout: commands, a demo, tests.
# The checkout's own package cannot be imported there.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
away=$(mktemp -d)
bin="$root/.venv-wheel/bin"

finish() {
    "$bin/chaos-runner" demo down --state "$away/state" >/dev/null 2>&1 || true
    rm -rf "$away"
}
trap finish EXIT INT TERM

export PIP_CONSTRAINT="$root/constraints.txt" PIP_DISABLE_PIP_VERSION_CHECK=1
.venv/bin/python -m build --wheel --outdir "$away/dist" . >"$away/build.log" 2>&1 || { cat "$away/build.log"; exit 1; }
rm -rf .venv-wheel
"${PY:-python3}" -m venv .venv-wheel
"$bin/pip" install --quiet "$away"/dist/*.whl
cp -R tests tools docs experiments scenarios pyproject.toml "$away/"
cd "$away"
unset PYTHONPATH
echo "wheel: $(ls dist)"

# Before anything that only tests need is installed: the package has all that it uses.
"$bin/python" -P -c '
import pathlib, sys, chaos_runner
home = pathlib.Path(chaos_runner.__file__).resolve()
assert home.is_relative_to(pathlib.Path(sys.prefix).resolve()), home
assert all((home.parent / "_bundled" / name).is_dir() for name in ("experiments", "scenarios"))
assert (home.parent / "py.typed").is_file(), "not marked as typed"
'
"$bin/chaos-runner" --help >/dev/null
bundled=$("$bin/python" -P -c 'from chaos_runner import files; print(files.bundled())')
"$bin/chaos-runner" validate "$bundled"/*.yaml "$bundled"/../scenarios/*.yaml
"$bin/chaos-runner" demo up --state state
"$bin/chaos-runner" plan "$bundled/slow-payments.yaml" -e demo --state state
"$bin/chaos-runner" demo down --state state

"$bin/pip" install --quiet pytest hypothesis trio scipy jsonschema
PYTHONPATH="$away" "$bin/python" -P -m pytest --import-mode=importlib -p no:cacheprovider \
    tests/load tests/judge tests/cli tests/render tests/store
