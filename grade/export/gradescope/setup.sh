#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Gradescope runs this once, as root, when the autograder's image is made: it installs what a grading
# needs (conf/packages, groups run, grade and staff). The image has to be Debian 12: the labs are
# proven with its compiler, its QEMU and its Python.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
export DEBIAN_FRONTEND=noninteractive

. /etc/os-release
if [[ ${VERSION_ID:-} != 12 || ${ID:-} != debian ]]; then
	echo "setup.sh: this is ${PRETTY_NAME:-unknown}; grades may differ from those on Debian 12" >&2
fi
apt-get update
apt-get install -y --no-install-recommends make
denali/conf/setup run grade staff
. ./settings
[[ $LAB != 2 ]] || make -C denali -s SETUP=no kernels # those that exercise 2.8 attacks
chmod -R go-rwx . # what a submission's build must not read
