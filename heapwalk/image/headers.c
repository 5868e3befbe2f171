/*
 * ELF header and program headers of a core (ELF gABI), read byte by byte so that neither the host's
 * word size nor its alignment matters. Every number is checked against the file before it is used.
 */
#include "image/image-private.h"

#include <elf.h>
#include <string.h>

/* Where the fields are, by ELF class. All offsets in bytes. */
typedef struct {
    guint word_bytes;
    guint ehdr_bytes;
    guint e_phoff, e_shoff, e_phentsize, e_phnum;
    guint phdr_bytes;
    guint p_flags, p_offset, p_vaddr, p_filesz, p_memsz;
    guint shdr_bytes, sh_info;
} Layout;

#define LAYOUT(bits)                                                                               \
    {                                                                                              \
        .word_bytes = (bits) / 8, .ehdr_bytes = sizeof(Elf##bits##_Ehdr),                          \
        .e_phoff = offsetof(Elf##bits##_Ehdr, e_phoff),                                            \
        .e_shoff = offsetof(Elf##bits##_Ehdr, e_shoff),                                            \
        .e_phentsize = offsetof(Elf##bits##_Ehdr, e_phentsize),                                    \
        .e_phnum = offsetof(Elf##bits##_Ehdr, e_phnum), .phdr_bytes = sizeof(Elf##bits##_Phdr),    \
        .p_flags = offsetof(Elf##bits##_Phdr, p_flags),                                            \
        .p_offset = offsetof(Elf##bits##_Phdr, p_offset),                                          \
        .p_vaddr = offsetof(Elf##bits##_Phdr, p_vaddr),                                            \
        .p_filesz = offsetof(Elf##bits##_Phdr, p_filesz),                                          \
        .p_memsz = offsetof(Elf##bits##_Phdr, p_memsz), .shdr_bytes = sizeof(Elf##bits##_Shdr),    \
        .sh_info = offsetof(Elf##bits##_Shdr, sh_info)                                             \
    }

static const Layout layout_32 = LAYOUT(32);
static const Layout layout_64 = LAYOUT(64);

typedef struct {
    const char *magic;
    gsize magic_bytes;
    const char *name;
    const char *command;
} Compression;

static const Compression compressions[] = {
    {"\x28\xb5\x2f\xfd", 4, "zstd", "zstd -d"},
    {"\x04\x22\x4d\x18", 4, "lz4", "lz4 -d"},
    {"\xfd"
     "7zXZ",
     5, "xz", "xz -dk"},
    {"\x1f\x8b", 2, "gzip", "gunzip -k"},
    {"BZh", 3, "bzip2", "bunzip2 -k"},
};

/* How the reports of apport in /var/crash begin. (apport, problem_report.py) */
#define APPORT_HEAD "ProblemType: Crash\n"

/* Says what a file that is no ELF file is. */
static void
set_not_elf(const PmImage *image, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(compressions); i++) {
        const Compression *compression = &compressions[i];
        if (image->file_bytes < compression->magic_bytes ||
            memcmp(image->bytes, compression->magic, compression->magic_bytes) != 0)
            continue;
        g_autofree char *quoted = g_shell_quote(image->path);
        g_set_error(error, PM_ERROR, PM_ERROR_COMPRESSED,
                    "%s: compressed with %s; unpack it first: %s %s", image->path,
                    compression->name, compression->command, quoted);
        return;
    }
    if (image->file_bytes >= strlen(APPORT_HEAD) &&
        memcmp(image->bytes, APPORT_HEAD, strlen(APPORT_HEAD)) == 0) {
        g_autofree char *quoted = g_shell_quote(image->path);
        g_set_error(error, PM_ERROR, PM_ERROR_COMPRESSED,
                    "%s: a crash report of apport, which has the core in it; unpack it first: "
                    "apport-unpack %s DIR, then pass DIR/CoreDump",
                    image->path, quoted);
        return;
    }
    g_set_error(error, PM_ERROR, PM_ERROR_NOT_A_CORE,
                "%s: not an ELF file, so not a core; a core is what the kernel or gcore writes",
                image->path);
}

static gboolean
check_type(const PmImage *image, guint64 type, GError **error)
{
    if (type == ET_CORE)
        return TRUE;

    const char *what = "an ELF file, but not a core";
    if (type == ET_REL)
        what = "an object file, not a core";
    else if (type == ET_EXEC)
        what = "an executable, not a core";
    else if (type == ET_DYN)
        what = "an executable or a shared library, not a core";
    g_set_error(error, PM_ERROR, PM_ERROR_NOT_A_CORE,
                "%s: %s; pass the core, and the program with --exe", image->path, what);
    return FALSE;
}

static gboolean
set_target(PmImage *image, guint64 machine, GError **error)
{
    const guint class = image->bytes[EI_CLASS];
    if (machine == EM_X86_64 && class == ELFCLASS64)
        image->target = (PmTarget){.arch = PM_ARCH_X86_64, .word_bytes = 8, .name = "x86_64"};
    else if (machine == EM_386 && class == ELFCLASS32)
        image->target = (PmTarget){.arch = PM_ARCH_I386, .word_bytes = 4, .name = "i386"};
    else if (machine == EM_AARCH64 && class == ELFCLASS64)
        image->target = (PmTarget){.arch = PM_ARCH_AARCH64, .word_bytes = 8, .name = "aarch64"};
    else {
        g_set_error(error, PM_ERROR, PM_ERROR_UNSUPPORTED,
                    "%s: a %s-bit core of ELF machine %u, which is not supported; "
                    "x86_64, i386 and aarch64 are",
                    image->path, class == ELFCLASS32 ? "32" : "64", (guint)machine);
        return FALSE;
    }
    return TRUE;
}

/* Checks everything before the program headers. */
static const Layout *
parse_ident(PmImage *image, GError **error)
{
    if (image->file_bytes == 0) {
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_A_CORE,
                    "%s: empty; was the disk full, or the core size limit 0 (ulimit -c)?",
                    image->path);
        return NULL;
    }
    if (image->file_bytes < SELFMAG || memcmp(image->bytes, ELFMAG, SELFMAG) != 0) {
        set_not_elf(image, error);
        return NULL;
    }
    const guint class = image->file_bytes > EI_DATA ? image->bytes[EI_CLASS] : 0;
    const Layout *layout = class == ELFCLASS32 ? &layout_32 : &layout_64;
    if (image->file_bytes < layout->ehdr_bytes || (class != ELFCLASS32 && class != ELFCLASS64)) {
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_A_CORE,
                    "%s: cut off or damaged inside its ELF header; nothing can be read from it",
                    image->path);
        return NULL;
    }
    if (image->bytes[EI_DATA] != ELFDATA2LSB) {
        g_set_error(error, PM_ERROR, PM_ERROR_UNSUPPORTED,
                    "%s: a big-endian ELF file; only little-endian cores are supported",
                    image->path);
        return NULL;
    }
    /* e_type and e_machine follow e_ident in both classes. */
    if (!check_type(image, pm_image_load(image->bytes + EI_NIDENT, 2), error) ||
        !set_target(image, pm_image_load(image->bytes + EI_NIDENT + 2, 2), error))
        return NULL;
    return layout;
}

/*
 * How many program headers the core says it has. Beyond 65,534 the number stands in sh_info of the
 * first section header (gABI, PN_XNUM), which the kernel writes at the very end of the file; where
 * that is cut off, the caller reads on until the first segment's bytes.
 */
static guint64
promised_count(const PmImage *image, const Layout *layout)
{
    const guint64 count = pm_image_load(image->bytes + layout->e_phnum, 2);
    if (count != PN_XNUM)
        return count;
    const guint64 shoff = pm_image_load(image->bytes + layout->e_shoff, layout->word_bytes);
    guint64 end = 0;
    if (shoff == 0 || !pm_addr_add(shoff, layout->shdr_bytes, &end) || end > image->file_bytes)
        return G_MAXUINT64;
    return pm_image_load(image->bytes + shoff + layout->sh_info, 4);
}

/* Adds what one PT_LOAD says, or a diagnostic where it makes no sense. */
static void
add_load(PmImage *image, GArray *segments, const Layout *layout, const guint8 *phdr)
{
    PmSegment segment = {
        .start = pm_image_load(phdr + layout->p_vaddr, layout->word_bytes),
        .mapped_bytes = pm_image_load(phdr + layout->p_memsz, layout->word_bytes),
        .file_offset = pm_image_load(phdr + layout->p_offset, layout->word_bytes),
        .dumped_bytes = pm_image_load(phdr + layout->p_filesz, layout->word_bytes),
        .flags = (guint32)pm_image_load(phdr + layout->p_flags, 4),
    };
    guint64 end = 0;
    guint64 file_end = 0;

    if (segment.mapped_bytes == 0)
        return;
    if (segment.dumped_bytes > segment.mapped_bytes)
        segment.dumped_bytes = segment.mapped_bytes;
    if (!pm_addr_add(segment.start, segment.mapped_bytes, &end) ||
        !pm_addr_add(segment.file_offset, segment.dumped_bytes, &file_end) ||
        file_end > G_MAXINT64) {
        pm_diagnostics_add(image->diagnostics, "segment-bad", PM_SEVERITY_WARNING, segment.start,
                           "a segment whose size or file offset cannot be: left out");
        return;
    }
    if (segment.dumped_bytes > 0 && segment.file_offset < image->file_bytes)
        segment.present_bytes = MIN(segment.dumped_bytes, image->file_bytes - segment.file_offset);
    if (segment.dumped_bytes > 0)
        image->coverage.expected_bytes = MAX(image->coverage.expected_bytes, file_end);
    g_array_append_val(segments, segment);
}

/* Notes the file range of one PT_NOTE, clipped to the file. */
static void
add_note_range(PmImage *image, const Layout *layout, const guint8 *phdr)
{
    PmRange range = {.start = pm_image_load(phdr + layout->p_offset, layout->word_bytes)};
    if (!pm_addr_add(range.start, pm_image_load(phdr + layout->p_filesz, layout->word_bytes),
                     &range.end) ||
        range.end > G_MAXINT64)
        return;
    image->coverage.expected_bytes = MAX(image->coverage.expected_bytes, range.end);
    range.start = MIN(range.start, image->file_bytes);
    range.end = MIN(range.end, image->file_bytes);
    g_array_append_val(image->note_ranges, range);
}

/* Reads the program header table as far as it is there. FALSE where its header fields cannot be. */
static gboolean
parse_table(PmImage *image, const Layout *layout, GArray *segments, GError **error)
{
    const guint64 phoff = pm_image_load(image->bytes + layout->e_phoff, layout->word_bytes);
    const guint64 entry_bytes = pm_image_load(image->bytes + layout->e_phentsize, 2);
    const guint64 promised = promised_count(image, layout);
    if (promised == 0 || entry_bytes != layout->phdr_bytes || phoff < layout->ehdr_bytes) {
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_A_CORE,
                    "%s: a core without a usable program header table (%" G_GUINT64_FORMAT
                    " entries of %" G_GUINT64_FORMAT " bytes); it is damaged",
                    image->path, promised, entry_bytes);
        return FALSE;
    }

    guint64 table_end = image->file_bytes;
    guint64 i = 0;
    guint64 offset = phoff;
    for (; i < promised && offset <= table_end && table_end - offset >= entry_bytes; i++) {
        const guint8 *phdr = image->bytes + offset;
        const guint64 type = pm_image_load(phdr, 4);
        if (type == PT_LOAD)
            add_load(image, segments, layout, phdr);
        else if (type == PT_NOTE)
            add_note_range(image, layout, phdr);
        /* The number of headers is not known: they end before the first bytes that one of them
         * speaks of. */
        const guint64 first = pm_image_load(phdr + layout->p_offset, layout->word_bytes);
        if (promised == G_MAXUINT64 && first > offset)
            table_end = MIN(table_end, first);
        offset += entry_bytes;
    }
    image->headers_cut = i < promised;
    return TRUE;
}

static gint
compare_segments(gconstpointer a, gconstpointer b)
{
    const PmSegment *left = a;
    const PmSegment *right = b;
    return left->start < right->start ? -1 : left->start > right->start;
}

/* Sorts the segments, drops those that overlap an earlier one, and sums up. */
static void
freeze_segments(PmImage *image, GArray *segments)
{
    gsize kept = 0;
    PmSegment *all = (PmSegment *)(gpointer)segments->data;
    PmCoverage *coverage = &image->coverage;

    g_array_sort(segments, compare_segments);
    for (guint i = 0; i < segments->len; i++) {
        if (kept > 0 && all[i].start < all[kept - 1].start + all[kept - 1].mapped_bytes) {
            pm_diagnostics_add(image->diagnostics, "segment-overlap", PM_SEVERITY_WARNING,
                               all[i].start, "a segment overlaps another one: left out");
            continue;
        }
        all[kept++] = all[i];
        coverage->mapped_bytes += all[i].mapped_bytes;
        coverage->dumped_bytes += all[i].dumped_bytes;
        coverage->lost_bytes += all[i].dumped_bytes - all[i].present_bytes;
    }
    image->segments = (PmSegment *)(gpointer)g_array_steal(segments, &image->segment_count);
    image->segment_count = kept;
}

/* gcore writes its notes after all memory, the kernel before it. */
static PmOrigin
guess_origin(const PmImage *image)
{
    guint64 first_load = G_MAXUINT64;
    for (gsize i = 0; i < image->segment_count; i++)
        if (image->segments[i].dumped_bytes > 0)
            first_load = MIN(first_load, image->segments[i].file_offset);
    for (guint i = 0; i < image->note_ranges->len; i++)
        if (g_array_index(image->note_ranges, PmRange, i).start < first_load)
            return PM_ORIGIN_KERNEL;
    return image->note_ranges->len > 0 ? PM_ORIGIN_GCORE : PM_ORIGIN_KERNEL;
}

static void
report_truncation(PmImage *image)
{
    const PmCoverage *coverage = &image->coverage;
    if (!pm_image_is_truncated(image))
        return;
    if (image->headers_cut)
        pm_diagnostics_add(image->diagnostics, "truncated", PM_SEVERITY_WARNING, PM_ADDR_NONE,
                           "the core is cut off inside its program headers: how much is lost is "
                           "unknown; what is there is answered");
    else
        pm_diagnostics_add(image->diagnostics, "truncated", PM_SEVERITY_WARNING, PM_ADDR_NONE,
                           "the core is cut off: the file has %" G_GUINT64_FORMAT
                           " of %" G_GUINT64_FORMAT " bytes; %" G_GUINT64_FORMAT
                           " of %" G_GUINT64_FORMAT " dumped bytes of memory are lost",
                           coverage->file_bytes, coverage->expected_bytes, coverage->lost_bytes,
                           coverage->dumped_bytes);
}

gboolean
pm_image_parse_headers(PmImage *image, GError **error)
{
    g_autoptr(GArray) segments = g_array_new(FALSE, FALSE, sizeof(PmSegment));
    const Layout *layout = parse_ident(image, error);

    if (layout == NULL || !parse_table(image, layout, segments, error))
        return FALSE;
    freeze_segments(image, segments);
    image->origin = guess_origin(image);
    if (image->segment_count == 0 && !image->headers_cut) {
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_A_CORE,
                    "%s: a core without any memory segment; there is nothing to read", image->path);
        return FALSE;
    }
    report_truncation(image);
    return TRUE;
}
