/*
 * The form of an index's file: a header, then numbers as they come, each checked when it is read.
 */
#include "analysis/sites/indexfile.h"

#include "analysis/sites/allocators.h"
#include "analysis/sites/scale.h"
#include "base/cachefile.h"
#include "dwarf/bytes.h"

#include <string.h>

/* To be raised whenever the analysis finds something else. */
#define VERSION 9
#define MAGIC   "pmsites\n"
/* Read as a number it says the byte order as well. */
#define ORDER         0x01020304u
#define KIND          "sites"
#define COUNT_MAX     (1U << 24)
#define FLAG_TAIL     1U
#define FLAG_RETURNED 2U
#define FLAG_SURE     4U

/* @checksum: of all that follows it. @origin: a checksum of what the index was made from. */
typedef struct {
    char magic[8];
    guint64 checksum;
    guint64 origin;
    guint32 order;
    guint32 version;
    guint32 asked_count;
    guint32 call_count;
    guint32 expr_count;
    guint32 unused;
} Header;

static guint64
add_names(guint64 sum, const GArray *named)
{
    for (guint i = 0; i < named->len; i++) {
        const PmExport *function = &g_array_index(named, PmExport, i);
        const guint64 pair[2] = {function->address, (guint64)pm_function_get_kind(function->name)};
        sum = pm_cache_checksum_add(sum, pair, sizeof pair);
    }
    return sum;
}

/* What else than the build-id says which calls are found: how much of the code was there, and which
 * functions had names. */
static guint64
sum_origin(const PmModuleCode *code)
{
    const guint64 numbers[] = {code->text_bytes, code->missing_bytes,
                               (guint64)code->module->symbols};
    const guint64 sum = pm_cache_checksum_add(0, numbers, sizeof numbers);
    return add_names(sum, code->named);
}

static void
put(GByteArray *bytes, guint64 number, guint count)
{
    const guint64 little = GUINT64_TO_LE(number);
    g_byte_array_append(bytes, (const guint8 *)&little, count);
}

static void
put_scale(GByteArray *bytes, PmScale scale)
{
    put(bytes, scale.factor, 4);
    put(bytes, (guint32)scale.added, 4);
}

static void
put_value(GByteArray *bytes, const PmValue *value)
{
    put(bytes, value->kind, 1);
    switch ((PmValueKind)value->kind) {
    case PM_VALUE_SET:
        put(bytes, value->count, 1);
        for (guint i = 0; i < value->count; i++)
            put(bytes, value->v[i], 8);
        break;
    case PM_VALUE_RANGE:
        put(bytes, value->v[0], 8);
        put(bytes, value->v[1], 8);
        put_scale(bytes, pm_scale_get(NULL, value));
        break;
    case PM_VALUE_UNKNOWN:
        put_scale(bytes, pm_scale_get(NULL, value));
        break;
    case PM_VALUE_EXPR:
        put(bytes, value->id, 4);
        break;
    case PM_VALUE_POINTER:
        put(bytes, value->v[0], 8);
        break;
    default:
        break;
    }
}

/* Gives @value the scale that follows; FALSE where no value has such a one. */
static gboolean
take_scale(PmBytes *bytes, PmValue *value)
{
    const guint64 factor = pm_bytes_fixed(bytes, 4);
    const PmScale scale = {factor, (gint32)pm_bytes_fixed(bytes, 4)};
    *value = pm_scale_set(value, scale);
    return pm_scale_equals(pm_scale_get(NULL, value), scale);
}

static gboolean
take_value(PmBytes *bytes, guint expr_count, PmValue *ret_value)
{
    PmValue value = {.kind = (guint8)pm_bytes_fixed(bytes, 1)};
    switch ((PmValueKind)value.kind) {
    case PM_VALUE_SET:
        value.count = (guint8)pm_bytes_fixed(bytes, 1);
        if (value.count == 0 || value.count > PM_VALUE_CONSTANTS)
            return FALSE;
        for (guint i = 0; i < value.count; i++) {
            value.v[i] = pm_bytes_fixed(bytes, 8);
            if (i > 0 && value.v[i] <= value.v[i - 1])
                return FALSE;
        }
        break;
    case PM_VALUE_RANGE:
        value.v[0] = pm_bytes_fixed(bytes, 8);
        value.v[1] = pm_bytes_fixed(bytes, 8);
        if (value.v[0] >= value.v[1] || !take_scale(bytes, &value))
            return FALSE;
        break;
    case PM_VALUE_EXPR:
        value.id = (guint32)pm_bytes_fixed(bytes, 4);
        if (value.id >= expr_count)
            return FALSE;
        break;
    case PM_VALUE_POINTER:
        value.v[0] = pm_bytes_fixed(bytes, 8);
        break;
    case PM_VALUE_UNKNOWN:
        if (!take_scale(bytes, &value))
            return FALSE;
        break;
    default:
        return FALSE;
    }
    *ret_value = value;
    return !bytes->failed;
}

static void
put_store(GByteArray *bytes, const PmStore *store)
{
    put(bytes, (guint32)store->offset, 4);
    put(bytes, store->width_bytes, 4);
    put(bytes, store->value, 8);
    put(bytes, store->kind, 1);
    put(bytes, store->is_late, 1);
}

static gboolean
take_stores(PmBytes *bytes, PmSiteIndex *index, PmSiteCall *call)
{
    call->first_store = index->stores->len;
    call->store_count = (guint)pm_bytes_fixed(bytes, 1);
    if (call->store_count > PM_STORES_MAX)
        return FALSE;
    for (guint i = 0; i < call->store_count; i++) {
        PmStore store = {.offset = (gint32)pm_bytes_fixed(bytes, 4)};
        store.width_bytes = (guint32)pm_bytes_fixed(bytes, 4);
        store.value = pm_bytes_fixed(bytes, 8);
        store.kind = (guint8)pm_bytes_fixed(bytes, 1);
        store.is_late = (guint8)pm_bytes_fixed(bytes, 1);
        if (bytes->failed || store.kind > PM_STORED_PASSED || store.is_late > 1)
            return FALSE;
        g_array_append_val(index->stores, store);
    }
    return TRUE;
}

static void
put_call(GByteArray *bytes, const PmSiteIndex *index, const PmSiteCall *call)
{
    put(bytes, call->address, 8);
    put(bytes, call->after - call->address, 1);
    put(bytes, call->function, 8);
    put(bytes, call->target, 8);
    put(bytes,
        (call->is_tail ? FLAG_TAIL : 0) | (call->is_returned ? FLAG_RETURNED : 0) |
            (call->is_sure ? FLAG_SURE : 0),
        1);
    put(bytes, (guint32)call->returned_offset, 4);
    for (guint i = 0; i < PM_ARGUMENTS; i++)
        put_value(bytes, &call->arguments[i]);
    put(bytes, call->store_count, 1);
    for (guint i = 0; i < call->store_count; i++)
        put_store(bytes, &g_array_index(index->stores, PmStore, call->first_store + i));
}

static gboolean
take_call(PmBytes *bytes, PmSiteIndex *index, PmSiteCall *ret_call)
{
    PmSiteCall call = {.address = pm_bytes_fixed(bytes, 8)};
    call.after = call.address + pm_bytes_fixed(bytes, 1);
    call.function = pm_bytes_fixed(bytes, 8);
    call.target = pm_bytes_fixed(bytes, 8);
    const guint64 flags = pm_bytes_fixed(bytes, 1);
    call.is_tail = (flags & FLAG_TAIL) != 0;
    call.is_returned = (flags & FLAG_RETURNED) != 0;
    call.is_sure = (flags & FLAG_SURE) != 0;
    call.returned_offset = (gint32)pm_bytes_fixed(bytes, 4);
    for (guint i = 0; i < PM_ARGUMENTS; i++)
        if (!take_value(bytes, index->exprs.all->len, &call.arguments[i]))
            return FALSE;
    if (!take_stores(bytes, index, &call))
        return FALSE;
    *ret_call = call;
    return !bytes->failed;
}

static void
put_expr(GByteArray *bytes, const PmExpr *expr)
{
    for (guint i = 0; i < 2; i++) {
        put(bytes, expr->arguments[i], 1);
        put(bytes, expr->widen[i], 1);
    }
    put(bytes, expr->step_count, 1);
    put(bytes, expr->open, 1);
    for (guint i = 0; i < expr->step_count; i++) {
        const PmStep *step = &expr->steps[i];
        put(bytes, step->kind, 1);
        put(bytes, step->exclusive ? 1 : 0, 1);
        put(bytes, step->a, 8);
        put(bytes, step->b, 8);
        put(bytes, step->c, 8);
    }
}

static gboolean
is_step(const PmStep *step)
{
    return step->kind <= PM_STEP_REPLACE && (step->kind != PM_STEP_SHIFT || step->a < 64) &&
           (step->kind != PM_STEP_REPLACE || step->a <= step->b);
}

static gboolean
take_expr(PmBytes *bytes, PmExpr *ret_expr)
{
    PmExpr expr = {.step_count = 0};
    for (guint i = 0; i < 2; i++) {
        expr.arguments[i] = (guint8)pm_bytes_fixed(bytes, 1);
        expr.widen[i] = (guint8)pm_bytes_fixed(bytes, 1);
        if ((expr.arguments[i] >= PM_ARGUMENTS &&
             !(i == 1 && expr.arguments[i] == PM_NO_ARGUMENT)) ||
            (expr.widen[i] & PM_WIDEN_MASK) > PM_WIDEN_SIGN ||
            expr.widen[i] > (PM_WIDEN_NONZERO | PM_WIDEN_SIGN))
            return FALSE;
    }
    expr.step_count = (guint8)pm_bytes_fixed(bytes, 1);
    expr.open = (guint8)pm_bytes_fixed(bytes, 1);
    if (expr.step_count > PM_EXPR_STEPS || expr.open > 1)
        return FALSE;
    for (guint i = 0; i < expr.step_count; i++) {
        PmStep *step = &expr.steps[i];
        step->kind = (guint8)pm_bytes_fixed(bytes, 1);
        step->exclusive = pm_bytes_fixed(bytes, 1) != 0;
        step->a = pm_bytes_fixed(bytes, 8);
        step->b = pm_bytes_fixed(bytes, 8);
        step->c = pm_bytes_fixed(bytes, 8);
        if (!is_step(step))
            return FALSE;
    }
    *ret_expr = expr;
    return !bytes->failed;
}

/* In the order in which pm_site_index_get() looks for them, and of targets that were asked for. */
static gboolean
is_next_call(const PmSiteIndex *index, const PmSiteCall *call)
{
    const PmSiteCall *before = index->calls->len > 0
                                   ? &g_array_index(index->calls, PmSiteCall, index->calls->len - 1)
                                   : NULL;
    return pm_site_index_knows(index, &call->target, 1) &&
           (before == NULL || before->target < call->target ||
            (before->target == call->target && before->address < call->address));
}

static gboolean
take_all(PmBytes *bytes, const Header *header, PmSiteIndex *index)
{
    for (guint i = 0; i < header->asked_count; i++) {
        const guint64 asked = pm_bytes_fixed(bytes, 8);
        if (bytes->failed || (i > 0 && g_array_index(index->asked, guint64, i - 1) >= asked))
            return FALSE;
        g_array_append_val(index->asked, asked);
    }
    for (guint i = 0; i < header->expr_count; i++) {
        PmExpr expr;
        guint32 id = 0;
        if (!take_expr(bytes, &expr) || !pm_exprs_add(&index->exprs, &expr, &id) || id != i)
            return FALSE;
    }
    for (guint i = 0; i < header->call_count; i++) {
        PmSiteCall call;
        if (!take_call(bytes, index, &call) || !is_next_call(index, &call))
            return FALSE;
        g_array_append_val(index->calls, call);
    }
    return !bytes->failed && bytes->at == bytes->end;
}

static gboolean
read_file(const PmCacheFile *file, const PmModuleCode *code, PmSiteIndex *index)
{
    Header header;
    const gsize summed = G_STRUCT_OFFSET(Header, origin);
    memcpy(&header, file->bytes, sizeof header);
    if (memcmp(header.magic, MAGIC, sizeof header.magic) != 0 || header.order != ORDER ||
        header.version != VERSION || header.origin != sum_origin(code) ||
        header.asked_count > COUNT_MAX || header.call_count > COUNT_MAX ||
        header.expr_count > PM_EXPRS_MAX ||
        header.checksum != pm_cache_checksum_add(0, file->bytes + summed, file->count - summed))
        return FALSE;
    PmBytes bytes = {.at = file->bytes + sizeof header, .end = file->bytes + file->count};
    return take_all(&bytes, &header, index);
}

gboolean
pm_site_index_load(PmSiteIndex *index, const PmModuleCode *code, const char *folder,
                   gboolean *ret_was_damaged)
{
    gboolean exists = FALSE;
    g_autoptr(PmCacheFile) file =
        pm_cache_file_map(folder, KIND, code->module->build_id, sizeof(Header), &exists);
    *ret_was_damaged = FALSE;
    if (file != NULL && read_file(file, code, index))
        return TRUE;
    *ret_was_damaged = exists;
    g_array_set_size(index->asked, 0);
    g_array_set_size(index->calls, 0);
    g_array_set_size(index->stores, 0);
    pm_exprs_reset(&index->exprs);
    return FALSE;
}

void
pm_site_index_save(PmSiteIndex *index, const PmModuleCode *code, const char *folder)
{
    Header header = {
        .magic = MAGIC,
        .origin = sum_origin(code),
        .order = ORDER,
        .version = VERSION,
        .asked_count = index->asked->len,
        .call_count = index->calls->len,
        .expr_count = index->exprs.all->len,
    };
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_byte_array_append(bytes, (const guint8 *)&header, sizeof header);
    for (guint i = 0; i < index->asked->len; i++)
        put(bytes, g_array_index(index->asked, guint64, i), 8);
    for (guint i = 0; i < index->exprs.all->len; i++)
        put_expr(bytes, pm_exprs_get(&index->exprs, i));
    for (guint i = 0; i < index->calls->len; i++)
        put_call(bytes, index, &g_array_index(index->calls, PmSiteCall, i));
    const gsize summed = G_STRUCT_OFFSET(Header, origin);
    const guint64 checksum = pm_cache_checksum_add(0, bytes->data + summed, bytes->len - summed);
    memcpy(bytes->data + G_STRUCT_OFFSET(Header, checksum), &checksum, sizeof checksum);
    const PmCachePart part = {bytes->data, bytes->len};
    pm_cache_file_write(folder, KIND, code->module->build_id, &part, 1);
    index->changed = FALSE;
}
