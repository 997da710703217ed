#!/usr/bin/env bash
# Make .venv-202511: ESPnet 202511 over the packages of .venv, for `make test ESPNET=202511`.
#
#   tools/setup.sh && tools/setup_202511.sh
#
# A small virtual environment (131 MB) that sees .venv's packages behind its own.
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET

venv=.venv-202511
pins=tools/requirements-202511.txt
stamp=${venv}/complete
hash=$(cat "${pins}" tools/setup_202511.sh .venv/complete | sha256sum | cut -d ' ' -f 1)
if [ "$(cat "${stamp}" 2>/dev/null)" = "${hash}" ]; then
    echo "setup: ${venv} is up to date"
    exit 0
fi

echo "setup: making ${venv}"
rm -f "${stamp}"
.venv/bin/python -m venv --clear "${venv}"
"${venv}/bin/python" -m pip --no-input --disable-pip-version-check install -qq --no-deps \
    --progress-bar off -r "${pins}" </dev/null
# Every process of this ESPnet imports g2p_en, which downloads these two at import when it does not
# find them: an error message off line, a hang behind some firewalls. Nothing here uses them, so
# let it find empty archives.
"${venv}/bin/python" - <<'END'
import sys
import sysconfig
import zipfile
from pathlib import Path

for name in "corpora/cmudict.zip", "taggers/averaged_perceptron_tagger_eng.zip":
    path = Path(sys.prefix, "nltk_data", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    zipfile.ZipFile(path, "w").close()

ours = Path(sysconfig.get_path("purelib"))
theirs = Path(".venv").resolve() / ours.relative_to(sys.prefix)
# As a site directory, so that its own .pth files count: that of espnet_robust is one.
(ours / "venv.pth").write_text(f"import site; site.addsitedir({str(theirs)!r})\n")
END
"${venv}/bin/python" -W ignore -c "import espnet2.tasks.asr, espnet_robust"
echo "${hash}" >"${stamp}.tmp"
mv "${stamp}.tmp" "${stamp}"
echo "setup: ${venv} is complete, $(du -sh "${venv}" | cut -f 1)"
