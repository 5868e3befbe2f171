#!/bin/sh
# clang-tidy.sh SOURCE-ROOT BUILD-ROOT: clang-tidy 14 has nothing to say about any C file.
cd "$1" || exit 1
for tool in clang-tidy-14 clang-tidy; do
    if "$tool" --version 2>/dev/null | grep -q 'version 14\.'; then
        # Sources that are compiled; one process a file and processor, the largest first.
        find analyzer heapwalk plugins samples tests -name '*.c' -size +0 -exec ls -S {} + |
            xargs -P "$(nproc)" -n 1 "$tool" -p "$2" --quiet --extra-arg=-Wno-unknown-warning-option 2>/dev/null
        exit
    fi
done
echo "skipped: clang-tidy 14 is not here, and other versions have other checks"
exit 77
