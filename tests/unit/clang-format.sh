#!/bin/sh
# clang-format.sh SOURCE-ROOT: every C file stands as clang-format 14 would write it.
cd "$1" || exit 1
for tool in clang-format-14 clang-format; do
    if "$tool" --version 2>/dev/null | grep -q 'version 14\.'; then
        find analyzer heapwalk plugins samples tests -name '*.[ch]' -exec "$tool" --dry-run --Werror {} +
        exit
    fi
done
echo "skipped: clang-format 14 is not here, and other versions format differently"
exit 77
