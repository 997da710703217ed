#!/usr/bin/env bash
# Debian's Slurm and munge, for tests and tools/virtual_slurm.py. Nothing is started.
#
#   tools/setup_slurm.sh
set -euo pipefail

command -v slurmctld slurmd munged >/dev/null && exit
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "setup: tests of Slurm will skip: they need root, slurm-wlm and munge of Debian or Ubuntu"
    exit
fi
echo "setup: apt-get install slurm-wlm munge"
# Their services are not for this machine: keep the packages from starting any.
policy=/usr/sbin/policy-rc.d
if [ ! -e "${policy}" ]; then
    printf '#!/bin/sh\nexit 101\n' >"${policy}"
    chmod +x "${policy}"
    trap 'rm -f "${policy}"' EXIT
fi
{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends slurm-wlm munge; } </dev/null >/dev/null ||
    echo "setup: tests of Slurm will skip: its packages could not be installed"
