/*
 * The comparison of a whole answer with a ledger.
 */
#include "compare.h"

#include "problems.h"
#include "run.h"

#include <string.h>

static void
expect_equal(const char *what, guint64 said, guint64 true_value)
{
    if (said != true_value)
        real_fail("%s: postmalloc says %" G_GUINT64_FORMAT ", the truth is %" G_GUINT64_FORMAT,
                  what, said, true_value);
}

/* What the list of used chunks adds up to, for the other comparisons. */
typedef struct {
    GHashTable *arena_bytes; /* arena address → sum of chunk_bytes */
    GHashTable *size_chunks; /* chunk_bytes → chunks */
    GArray *runtime;         /* guint64 addresses of runtime chunks */
    guint64 chunks;
    guint64 chunk_bytes;
    guint64 usable_bytes;
} Walk;

static void
walk_init(Walk *walk)
{
    *walk = (Walk){
        .arena_bytes = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free),
        .size_chunks = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free),
        .runtime = g_array_new(FALSE, FALSE, sizeof(guint64)),
    };
}

static void
walk_clear(Walk *walk)
{
    g_hash_table_unref(walk->arena_bytes);
    g_hash_table_unref(walk->size_chunks);
    g_array_unref(walk->runtime);
}

static void
add_to(GHashTable *table, guint64 key, guint64 amount)
{
    guint64 *sum = g_hash_table_lookup(table, &key);
    if (sum == NULL) {
        sum = g_new0(guint64, 1);
        g_hash_table_insert(table, g_memdup2(&key, sizeof key), sum);
    }
    *sum += amount;
}

static guint64
get_sum(GHashTable *table, guint64 key)
{
    const guint64 *sum = g_hash_table_lookup(table, &key);
    return sum ? *sum : 0;
}

/* The arena that the row's own header named, against the one that postmalloc gives. */
static gboolean
is_right_place(const RealRow *row, JsonObject *chunk, guint64 main_arena)
{
    guint64 arena = real_member_address(chunk, "arena");
    gboolean mmapped = json_object_get_boolean_member(chunk, "mmapped");
    switch (row->place) {
    case REAL_PLACE_MMAPPED:
        return mmapped && arena == G_MAXUINT64;
    case REAL_PLACE_MAIN:
        return !mmapped && arena == main_arena;
    default:
        return !mmapped && arena != main_arena && arena != G_MAXUINT64;
    }
}

/* @startup: extra ones that lie before the program's first block. */
typedef struct {
    RealProblems extra, wrong, missing;
    guint64 main_arena;
    guint startup, startup_blocks;
} ChunkComparison;

static void
compare_chunk(ChunkComparison *comparison, const RealTruth *truth, JsonObject *chunk, Walk *walk)
{
    guint64 address = real_member_address(chunk, "address");
    guint64 chunk_bytes = real_member_uint(chunk, "chunk_bytes");
    const char *state = json_object_get_string_member(chunk, "state");
    guint64 arena = real_member_address(chunk, "arena");
    RealRow *row = real_truth_find(truth, address);
    walk->chunks++;
    walk->chunk_bytes += chunk_bytes;
    walk->usable_bytes += row != NULL ? row->usable_bytes : chunk_bytes - 8;
    add_to(walk->size_chunks, chunk_bytes, 1);
    if (arena != G_MAXUINT64)
        add_to(walk->arena_bytes, arena, chunk_bytes);
    if (g_strcmp0(state, "runtime") == 0 && row == NULL) {
        g_array_append_val(walk->runtime, address);
    } else if (row == NULL && arena == comparison->main_arena && address < truth->first_of_main &&
               comparison->startup < comparison->startup_blocks) {
        comparison->startup++;
    } else if (row == NULL) {
        real_problems_add(&comparison->extra,
                          "0x%" G_GINT64_MODIFIER "x of 0x%" G_GINT64_MODIFIER "x bytes, %s",
                          address, chunk_bytes, state);
    } else if (row->seen || g_strcmp0(state, "used") != 0 || chunk_bytes != row->chunk_bytes ||
               !is_right_place(row, chunk, comparison->main_arena)) {
        row->seen = TRUE;
        real_problems_add(&comparison->wrong,
                          "0x%" G_GINT64_MODIFIER "x: 0x%" G_GINT64_MODIFIER
                          "x bytes, %s, arena 0x%" G_GINT64_MODIFIER
                          "x; the ledger has 0x%" G_GINT64_MODIFIER "x bytes in place %d",
                          address, chunk_bytes, state, arena, row->chunk_bytes, row->place);
    } else {
        row->seen = TRUE;
    }
}

static void
compare_chunks(const RealSubject *subject, const RealTruth *truth, const RealExpected *expected,
               guint64 main_arena, Walk *walk)
{
    g_autoptr(JsonNode) document = real_ask(subject, "chunks --state used --limit 0", NULL);
    if (document == NULL)
        return;
    ChunkComparison comparison = {
        .main_arena = main_arena,
        .startup_blocks = expected->startup_blocks,
    };
    real_problems_init(&comparison.extra, "chunks in use that the program never had or had freed");
    real_problems_init(&comparison.wrong, "chunks with a wrong size, state or arena");
    real_problems_init(&comparison.missing,
                       "live blocks of the ledger that are not in use or not there");
    real_truth_reset(truth);
    JsonArray *chunks = real_get_array(document, "data.chunks");
    for (guint i = 0; i < json_array_get_length(chunks); i++)
        compare_chunk(&comparison, truth, json_array_get_object_element(chunks, i), walk);
    for (guint i = 0; i < truth->live->len; i++) {
        const RealRow *row = &g_array_index(truth->live, RealRow, i);
        if (!row->seen)
            real_problems_add(&comparison.missing,
                              "0x%" G_GINT64_MODIFIER "x of 0x%" G_GINT64_MODIFIER
                              "x bytes, place %d",
                              row->address, row->chunk_bytes, row->place);
    }
    real_problems_report(&comparison.extra);
    real_problems_report(&comparison.wrong);
    real_problems_report(&comparison.missing);
    expect_equal("blocks of a static program's start-up", comparison.startup,
                 expected->startup_blocks);
}

static void
compare_runtime(const RealSubject *subject, const Walk *walk, const RealRuntime *expected)
{
    RealRuntime found = {0};
    RealProblems strange;
    real_problems_init(&strange, "blocks of glibc's own of another kind than expected");
    for (guint i = 0; i < walk->runtime->len; i++) {
        g_autofree char *address =
            g_strdup_printf("0x%" G_GINT64_MODIFIER "x", g_array_index(walk->runtime, guint64, i));
        g_autoptr(JsonNode) document = real_ask(subject, "show", address);
        if (document == NULL)
            continue;
        const char *name = real_get_string(document, "data.chunk.runtime");
        if (name != NULL && g_str_has_prefix(name, "tcache struct"))
            found.tcaches++;
        else if (name != NULL && g_str_has_prefix(name, "DTV"))
            found.dtvs++;
        else if (name != NULL && g_str_has_prefix(name, "link map of"))
            found.link_maps++;
        else if (name != NULL && g_str_has_prefix(name, "buffer of stdout"))
            found.stdout_buffers++;
        else
            real_problems_add(&strange, "%s: %s", address, name ? name : "without a name");
    }
    real_problems_report(&strange);
    expect_equal("tcache structs", found.tcaches, expected->tcaches);
    expect_equal("DTVs", found.dtvs, expected->dtvs);
    expect_equal("link maps", found.link_maps, expected->link_maps);
    expect_equal("buffers of stdout", found.stdout_buffers, expected->stdout_buffers);
}

/* One arena's own sums, and those of its chunks. */
static void
compare_arena(JsonObject *arena, const Walk *walk, RealProblems *problems)
{
    guint64 address = real_member_address(arena, "address");
    guint64 used = real_member_uint(arena, "used_bytes");
    guint64 free = real_member_uint(arena, "free_bytes");
    guint64 overhead = real_member_uint(arena, "overhead_bytes");
    guint64 system = real_member_uint(arena, "system_bytes");
    guint64 of_chunks = get_sum(walk->arena_bytes, address);
    if (used + free + overhead != system)
        real_problems_add(problems,
                          "0x%" G_GINT64_MODIFIER "x: %" G_GUINT64_FORMAT
                          " used + %" G_GUINT64_FORMAT " free + %" G_GUINT64_FORMAT
                          " overhead is not the %" G_GUINT64_FORMAT " of the system",
                          address, used, free, overhead, system);
    if (used != of_chunks)
        real_problems_add(problems,
                          "0x%" G_GINT64_MODIFIER "x: %" G_GUINT64_FORMAT
                          " used, but %" G_GUINT64_FORMAT " in its used chunks",
                          address, used, of_chunks);
    JsonObject *items = json_object_get_object_member(arena, "overhead");
    g_autoptr(GList) names = json_object_get_members(items);
    guint64 itemised = 0;
    for (GList *at = names; at != NULL; at = at->next)
        itemised += real_member_uint(items, at->data);
    if (itemised != overhead)
        real_problems_add(problems,
                          "0x%" G_GINT64_MODIFIER
                          "x: items of overhead sum up to %" G_GUINT64_FORMAT
                          ", not %" G_GUINT64_FORMAT,
                          address, itemised, overhead);
    if (real_member_uint(items, "damaged") != 0 || real_member_uint(items, "unread") != 0)
        real_problems_add(problems, "0x%" G_GINT64_MODIFIER "x: bytes are damaged or unread",
                          address);
}

static void
compare_arenas(const RealSubject *subject, const RealTruth *truth, const Walk *walk,
               const RealExpected *expected)
{
    g_autoptr(JsonNode) document = real_ask(subject, "arenas", NULL);
    if (document == NULL)
        return;
    RealProblems problems;
    real_problems_init(&problems, "arenas that do not add up");
    JsonArray *arenas = real_get_array(document, "data.arenas");
    guint64 system = 0, in_bins = 0, fastbins = 0, threads = 0;
    for (guint i = 0; i < json_array_get_length(arenas); i++) {
        JsonObject *arena = json_array_get_object_element(arenas, i);
        compare_arena(arena, walk, &problems);
        system += real_member_uint(arena, "system_bytes");
        in_bins += real_member_uint(arena, "free_bytes") - real_member_uint(arena, "tcache_bytes");
        fastbins += real_member_uint(arena, "fastbin_bytes");
        threads += json_array_get_length(json_object_get_array_member(arena, "threads"));
    }
    real_problems_report(&problems);
    expect_equal("system_bytes of all arenas", system, truth->mallinfo.arena);
    expect_equal("bytes in bins, fastbins and tops", in_bins, truth->mallinfo.fordblks);
    expect_equal("bytes in fastbins", fastbins, truth->mallinfo.fsmblks);
    expect_equal("threads at arenas", threads, expected->threads);
    expect_equal("mmapped chunks", real_get_uint(document, "data.mmapped.chunks"),
                 truth->mallinfo.hblks);
    expect_equal("mmapped bytes", real_get_uint(document, "data.mmapped.bytes"),
                 truth->mapped_bytes);
    if (JSON_NODE_HOLDS_NULL(real_get(document, "data.mmapped.expected_chunks"))) {
        if (!expected->mp_may_hide)
            real_fail("mp_ was not found");
        return;
    }
    expect_equal("mmapped chunks by mp_", real_get_uint(document, "data.mmapped.expected_chunks"),
                 truth->mallinfo.hblks);
    expect_equal("mmapped bytes by mp_", real_get_uint(document, "data.mmapped.expected_bytes"),
                 truth->mallinfo.hblkhd);
}

static void
compare_sizes(const RealSubject *subject, const RealTruth *truth, const Walk *walk)
{
    g_autoptr(JsonNode) document = real_ask(subject, "sizes", NULL);
    if (document == NULL)
        return;
    RealProblems problems;
    real_problems_init(&problems, "sizes with a wrong count");
    JsonArray *sizes = real_get_array(document, "data.sizes");
    guint64 counted = 0;
    for (guint i = 0; i < json_array_get_length(sizes); i++) {
        JsonObject *row = json_array_get_object_element(sizes, i);
        guint64 chunk_bytes = real_member_uint(row, "chunk_bytes");
        guint64 used = real_member_uint(json_object_get_object_member(row, "used"), "chunks");
        guint64 listed = get_sum(walk->size_chunks, chunk_bytes);
        counted += used;
        if (used != listed)
            real_problems_add(&problems,
                              "%" G_GUINT64_FORMAT ": %" G_GUINT64_FORMAT
                              " used, the list has %" G_GUINT64_FORMAT,
                              chunk_bytes, used, listed);
    }
    real_problems_report(&problems);
    expect_equal("used chunks over all sizes", counted, walk->chunks);
    expect_equal("totals.used.chunks", real_get_uint(document, "data.totals.used.chunks"),
                 walk->chunks);
    expect_equal("totals.used.chunk_bytes", real_get_uint(document, "data.totals.used.chunk_bytes"),
                 walk->chunk_bytes);
    expect_equal("totals.used.usable_bytes",
                 real_get_uint(document, "data.totals.used.usable_bytes"), walk->usable_bytes);
    expect_equal("totals.runtime.chunks", real_get_uint(document, "data.totals.runtime.chunks"),
                 walk->runtime->len);
    expect_equal("free bytes but tcache's",
                 real_get_uint(document, "data.totals.bin.chunk_bytes") +
                     real_get_uint(document, "data.totals.fastbin.chunk_bytes") +
                     real_get_uint(document, "data.totals.top.chunk_bytes"),
                 truth->mallinfo.fordblks);
}

static void
compare_info(JsonNode *document, const RealTruth *truth, const RealExpected *expected)
{
    expect_equal("pid", real_get_uint(document, "data.process.pid"), truth->pid);
    expect_equal("threads", json_array_get_length(real_get_array(document, "data.threads")),
                 expected->threads);
    const char *version = real_get_string(document, "data.glibc.version");
    if (version != NULL || !expected->libc_missing)
        g_assert_cmpstr(version, ==, truth->glibc);
    if (expected->found_by != NULL)
        g_assert_cmpstr(real_get_string(document, "data.glibc.found_by"), ==, expected->found_by);
}

static void
compare_check(const RealSubject *subject)
{
    g_autoptr(JsonNode) document = real_ask(subject, "check", NULL);
    if (document == NULL)
        return;
    RealProblems problems;
    real_problems_init(&problems, "violations in a heap that is sound");
    JsonArray *violations = real_get_array(document, "data.violations");
    for (guint i = 0; i < json_array_get_length(violations); i++) {
        JsonObject *one = json_array_get_object_element(violations, i);
        real_problems_add(&problems, "%s: %s", json_object_get_string_member(one, "code"),
                          json_object_get_string_member(one, "text"));
    }
    real_problems_report(&problems);
}

void
real_compare(const RealSubject *subject, RealTruth *truth, const RealExpected *expected)
{
    g_autoptr(JsonNode) info = real_ask(subject, "info", NULL);
    if (info == NULL)
        return;
    if (JSON_NODE_HOLDS_NULL(real_get(info, "data.glibc"))) {
        real_fail("no glibc heap was found");
        return;
    }
    compare_info(info, truth, expected);
    const char *main_arena = real_get_string(info, "data.glibc.main_arena");
    Walk walk;
    walk_init(&walk);
    compare_chunks(subject, truth, expected,
                   main_arena ? g_ascii_strtoull(main_arena, NULL, 16) : 0, &walk);
    compare_runtime(subject, &walk, &expected->runtime);
    compare_arenas(subject, truth, &walk, expected);
    compare_sizes(subject, truth, &walk);
    compare_check(subject);
    walk_clear(&walk);
}

RealRuntime
real_expect_runtime(guint threads, guint exited, gboolean printed)
{
    return (RealRuntime){
        .tcaches = threads,
        .dtvs = threads - 1 + exited,
        .stdout_buffers = printed ? 1 : 0,
    };
}
