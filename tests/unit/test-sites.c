/*
 * The parts of the search for call sites: the lattice, the data-flow over hand-made code, frame
 * descriptions, and the file of an index, with damaged and hostile ones among them.
 */
#include "analysis/sites/flow.h"
#include "analysis/sites/frames.h"
#include "analysis/sites/graph.h"
#include "analysis/sites/indexfile.h"
#include "analysis/sites/scale.h"
#include "analysis/sites/x86scan.h"
#include "base/cachefile.h"

#include <glib/gstdio.h>
#include <string.h>

/* Where hand-made functions lie, and what they call. */
#define CODE    G_GUINT64_CONSTANT(0x1000)
#define WANTED  G_GUINT64_CONSTANT(0x9000)
#define SLOT    G_GUINT64_CONSTANT(0xa000)
#define OTHER   G_GUINT64_CONSTANT(0xb000)
#define ENDLESS G_GUINT64_CONSTANT(0xc000)
#define PASSING G_GUINT64_CONSTANT(0xd000)
#define FILLING G_GUINT64_CONSTANT(0xe000)
#define BASE    G_GUINT64_CONSTANT(0xf000)

static void
assert_set(const PmValue *value, guint count, guint64 first, guint64 last)
{
    g_assert_cmpuint(value->kind, ==, PM_VALUE_SET);
    g_assert_cmpuint(value->count, ==, count);
    g_assert_cmpuint(value->v[0], ==, first);
    g_assert_cmpuint(value->v[count - 1], ==, last);
}

static void
assert_range(const PmValue *value, guint64 low, guint64 high)
{
    g_assert_cmpuint(value->kind, ==, PM_VALUE_RANGE);
    g_assert_cmpuint(value->v[0], ==, low);
    g_assert_cmpuint(value->v[1], ==, high);
}

static void
test_numbers(void)
{
    PmExprs exprs;
    pm_exprs_init(&exprs);
    PmValue set = pm_value_constant(16);
    for (guint64 number = 32; number <= 64; number += 16) {
        const PmValue one = pm_value_constant(number);
        set = pm_value_join(&exprs, &set, &one, NULL, NULL);
    }
    assert_set(&set, 4, 16, 64);
    const PmValue fifth = pm_value_constant(8);
    PmValue range = pm_value_join(&exprs, &set, &fifth, NULL, NULL);
    assert_range(&range, 8, 64);

    const PmValue eight = pm_value_constant(8);
    PmValue value = pm_value_multiply(&exprs, &set, &eight);
    assert_set(&value, 4, 128, 512);
    /* Which goes with which is not known: no product of two sets is one. */
    value = pm_value_multiply(&exprs, &set, &set);
    assert_range(&value, 256, 4096);
    const PmValue minus = pm_value_constant((guint64)-16);
    value = pm_value_add(&exprs, &set, &minus);
    assert_set(&value, 4, 0, 48);
    value = pm_value_add(&exprs, &range, &minus);
    /* It wraps at one end alone. */
    g_assert_cmpuint(value.kind, ==, PM_VALUE_UNKNOWN);
    value = pm_value_unknown();
    const PmValue mask = pm_value_constant(255);
    value = pm_value_and(&exprs, &value, &mask);
    assert_range(&value, 0, 255);
    value = pm_value_multiply(&exprs, &value, &eight);
    assert_range(&value, 0, 2040);
    const PmValue negative = pm_value_constant(0xfffffff0);
    value = pm_value_sign_extend(&exprs, &negative, 4);
    assert_set(&value, 1, (guint64)-16, (guint64)-16);
    pm_exprs_clear(&exprs);
}

static void
test_expressions(void)
{
    PmExprs exprs;
    pm_exprs_init(&exprs);
    const PmValue n = pm_value_argument(&exprs, 0);
    const PmValue m = pm_value_argument(&exprs, 1);
    const PmValue three = pm_value_constant(3), four = pm_value_constant(4);
    PmValue arguments[PM_ARGUMENTS];
    for (guint i = 0; i < PM_ARGUMENTS; i++)
        arguments[i] = pm_value_constant(10 + i);

    /* (2n + n) * 4 + 4 - n has n thrice. */
    PmValue value = pm_value_add(&exprs, &n, &n);
    value = pm_value_add(&exprs, &value, &n);
    value = pm_value_multiply(&exprs, &value, &four);
    value = pm_value_add(&exprs, &value, &four);
    value = pm_value_subtract(&exprs, &value, &n);
    PmValue applied = pm_expr_apply(&exprs, pm_exprs_get(&exprs, value.id), arguments);
    assert_set(&applied, 1, 114, 114);

    /* A product of two, in either order, is one expression. */
    value = pm_value_multiply(&exprs, &n, &m);
    applied = pm_value_multiply(&exprs, &m, &n);
    g_assert_true(pm_value_equals(&value, &applied));
    applied = pm_expr_apply(&exprs, pm_exprs_get(&exprs, value.id), arguments);
    assert_set(&applied, 1, 110, 110);
    value = pm_value_add(&exprs, &n, &m);
    g_assert_cmpuint(value.kind, ==, PM_VALUE_UNKNOWN);

    /* An expression over an expression. */
    value = pm_value_multiply(&exprs, &n, &three);
    arguments[0] = pm_value_add(&exprs, &m, &four);
    applied = pm_expr_apply(&exprs, pm_exprs_get(&exprs, value.id), arguments);
    arguments[1] = pm_value_constant(6);
    applied = pm_expr_apply(&exprs, pm_exprs_get(&exprs, applied.id), arguments);
    assert_set(&applied, 1, 30, 30);
    pm_exprs_clear(&exprs);
}

/* Sums of 32 bits, products that were added to, and what may be something else. */
static void
test_forms(void)
{
    PmExprs exprs;
    pm_exprs_init(&exprs);
    const PmValue n = pm_value_argument(&exprs, 0), m = pm_value_argument(&exprs, 1);
    const PmValue two = pm_value_constant(2), eight = pm_value_constant(8);
    const PmFact zero = {TRUE, n.id, 0, 0}, other = {TRUE, n.id, 1, G_MAXUINT64};
    PmValue arguments[PM_ARGUMENTS] = {pm_value_constant(7), pm_value_constant(3)};

    /* (long)(int)(2 * n) + 8 times (long)(int)n: of one argument. */
    PmValue narrow = pm_value_truncate(&exprs, &n, 4);
    PmValue twice = pm_value_multiply(&exprs, &narrow, &two);
    twice = pm_value_truncate(&exprs, &twice, 4);
    twice = pm_value_sign_extend(&exprs, &twice, 4);
    PmValue times = pm_value_sign_extend(&exprs, &narrow, 4);
    times = pm_value_multiply(&exprs, &times, &eight);
    PmValue sum = pm_value_add(&exprs, &twice, &times);
    g_assert_cmpuint(sum.kind, ==, PM_VALUE_EXPR);
    PmValue applied = pm_expr_apply(&exprs, pm_exprs_get(&exprs, sum.id), arguments);
    assert_set(&applied, 1, 70, 70);

    /* (n + 8) * 2 is 2 * n + 16. */
    sum = pm_value_add(&exprs, &n, &eight);
    sum = pm_value_multiply(&exprs, &sum, &two);
    twice = pm_value_multiply(&exprs, &n, &two);
    PmValue rest = pm_value_subtract(&exprs, &sum, &twice);
    assert_set(&rest, 1, 16, 16);

    /* (n != 0 ? n : 1) * m */
    const PmValue one = pm_value_constant(1);
    PmValue some = pm_value_join(&exprs, &n, &one, &other, &zero);
    some = pm_value_multiply(&exprs, &some, &m);
    g_assert_cmpuint(some.kind, ==, PM_VALUE_EXPR);
    applied = pm_expr_apply(&exprs, pm_exprs_get(&exprs, some.id), arguments);
    assert_set(&applied, 1, 21, 21);
    arguments[0] = pm_value_constant(0);
    applied = pm_expr_apply(&exprs, pm_exprs_get(&exprs, some.id), arguments);
    assert_set(&applied, 1, 3, 3);
    g_assert_cmpuint(applied.open, ==, 0);

    /* n, or what nobody knows; two of these need not be the same. */
    const PmValue unknown = pm_value_unknown();
    PmValue open = pm_value_join(&exprs, &n, &unknown, NULL, NULL);
    g_assert_cmpuint(open.kind, ==, PM_VALUE_EXPR);
    const PmValue same = pm_value_join(&exprs, &n, &open, NULL, NULL);
    g_assert_true(pm_value_equals(&same, &open));
    sum = pm_value_subtract(&exprs, &open, &open);
    g_assert_cmpuint(sum.kind, ==, PM_VALUE_UNKNOWN);
    open = pm_value_add(&exprs, &open, &eight);
    applied = pm_expr_apply(&exprs, pm_exprs_get(&exprs, open.id), arguments);
    assert_set(&applied, 1, 8, 8);
    g_assert_cmpuint(applied.open, ==, 1);
    pm_exprs_clear(&exprs);
}

/* n < 16 ? 16 : n, as two ways that meet. */
static void
test_replacement(void)
{
    PmExprs exprs;
    pm_exprs_init(&exprs);
    const PmValue n = pm_value_argument(&exprs, 0);
    const PmValue least = pm_value_constant(16);
    const PmFact small = {TRUE, n.id, 0, 15};
    const PmFact large = {TRUE, n.id, 16, G_MAXUINT64};
    const PmFact none = {0};
    PmValue arguments[PM_ARGUMENTS];
    for (guint i = 0; i < PM_ARGUMENTS; i++)
        arguments[i] = pm_value_constant(3);

    PmValue value = pm_value_join(&exprs, &n, &least, &large, &small);
    g_assert_cmpuint(value.kind, ==, PM_VALUE_EXPR);
    PmValue applied = pm_expr_apply(&exprs, pm_exprs_get(&exprs, value.id), arguments);
    assert_set(&applied, 1, 16, 16);
    /* Once more the same ways: nothing new. */
    PmValue again = pm_value_join(&exprs, &value, &n, &none, &large);
    g_assert_true(pm_value_equals(&again, &value));
    again = pm_value_join(&exprs, &value, &least, &none, &small);
    g_assert_true(pm_value_equals(&again, &value));
    arguments[0] = pm_value_constant(100);
    applied = pm_expr_apply(&exprs, pm_exprs_get(&exprs, value.id), arguments);
    assert_set(&applied, 1, 100, 100);
    /* A way of which nothing is known: 3 may be 3. */
    arguments[0] = pm_value_constant(3);
    value = pm_value_join(&exprs, &n, &least, &none, &small);
    applied = pm_expr_apply(&exprs, pm_exprs_get(&exprs, value.id), arguments);
    assert_set(&applied, 2, 3, 16);
    /* A constant that is there for no reason that is known. */
    value = pm_value_join(&exprs, &n, &least, &none, &none);
    applied = pm_expr_apply(&exprs, pm_exprs_get(&exprs, value.id), arguments);
    assert_set(&applied, 1, 3, 3);
    g_assert_cmpuint(applied.open, ==, 1);
    pm_exprs_clear(&exprs);
}

/* Hand-made code: bytes as they are, and calls. */
typedef struct {
    guint8 bytes[256];
    guint count;
} Code;

static void
emit(Code *code, const char *hex)
{
    for (; *hex != '\0'; hex += hex[2] == ' ' ? 3 : 2)
        code->bytes[code->count++] =
            (guint8)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]));
}

static void
emit_distance(Code *code, guint64 target)
{
    const guint32 distance = (guint32)(target - (CODE + code->count + 4));
    const guint32 little = GUINT32_TO_LE(distance);
    memcpy(code->bytes + code->count, &little, sizeof little);
    code->count += 4;
}

static void
emit_to(Code *code, const char *opcode, guint64 target)
{
    emit(code, opcode);
    emit_distance(code, target);
}

static gboolean
read_nothing(G_GNUC_UNUSED gconstpointer data, G_GNUC_UNUSED guint64 address,
             G_GNUC_UNUSED gpointer buffer, G_GNUC_UNUSED gsize count)
{
    return FALSE;
}

/* Runs @code as one function and gives its calls. */
static const GArray *
run_calls(PmFlow *flow, const Code *code)
{
    const guint64 wanted[] = {WANTED, SLOT, pm_field_make(BASE, 24)}, base = BASE,
                  endless[] = {ENDLESS}, passing[] = {PASSING, FILLING}, filling[] = {FILLING};
    g_autoptr(PmTargets) all = pm_targets_new(wanted, G_N_ELEMENTS(wanted));
    g_autoptr(PmTargets) never = pm_targets_new(endless, G_N_ELEMENTS(endless));
    g_autoptr(PmTargets) through = pm_targets_new(passing, G_N_ELEMENTS(passing));
    g_autoptr(PmTargets) fills = pm_targets_new(filling, G_N_ELEMENTS(filling));
    g_autoptr(PmTargets) bases = pm_targets_new(&base, 1);
    const PmFlowTargets targets = {all, never, through, fills, .bases = bases};
    const PmCodeRange range = {CODE, CODE + code->count, code->bytes};
    const PmFunctionCode function = {
        .ranges = &range, .range_count = 1, .entry = CODE, .read = read_nothing};
    return pm_flow_run(flow, &function, &targets);
}

/* The same of one with a single call. */
static PmFlowCall
run_code(PmFlow *flow, const Code *code)
{
    const GArray *calls = run_calls(flow, code);
    g_assert_cmpuint(calls->len, ==, 1);
    return g_array_index(calls, PmFlowCall, 0);
}

typedef struct {
    const char *before; /* code up to the call */
    guint count;        /* constants that it is called with; 0: unknown, or an expression */
    guint64 first;
    guint64 last;
} Straight;

/* What is before a call of the wanted function, and what its argument is then. */
static const Straight straight[] = {
    {"bf 18 00 00 00", 1, 24, 24},                                  /* mov $24, %edi */
    {"48 c7 c7 18 00 00 00", 1, 24, 24},                            /* mov $24, %rdi */
    {"31 ff 83 c7 20", 1, 32, 32},                                  /* xor; add $32 */
    {"b8 03 00 00 00 48 8d 3c c5 08 00 00 00", 1, 32, 32},          /* lea 8(,%rax,8) */
    {"b8 03 00 00 00 6b f8 0c", 1, 36, 36},                         /* imul $12, %eax, %edi */
    {"bf 04 00 00 00 c1 e7 03", 1, 32, 32},                         /* shl $3 */
    {"6a 28 5f", 1, 40, 40},                                        /* push $40; pop %rdi */
    {"55 48 89 e5 48 c7 45 f8 18 00 00 00 48 8b 7d f8", 1, 24, 24}, /* through a slot */
    {"31 ff 85 f6 40 0f 94 c7 c1 e7 04 83 cf 20", 2, 32, 48},       /* sete; shl; or */
    {"83 fe 01 19 ff 83 e7 10 83 c7 20", 2, 32, 48},                /* sbb; and; add */
    {"bf 10 00 00 00 b8 20 00 00 00 85 f6 0f 45 f8", 2, 16, 32},    /* cmovne */
    {"bf 18 00 00 00 f3 48 0f 1e c8", 0, 0, 0},                     /* rdsspq %rax */
    {"bf 18 00 00 00 0f 04 90 90 90", 0, 0, 0},                     /* no instruction */
    {"bf 18 00 00 00 0f a2", 1, 24, 24},                            /* cpuid */
    {"bb 18 00 00 00 0f a2 89 df", 0, 0, 0},                        /* cpuid writes rbx */
    {"bf 18 00 00 00 48 87 f7", 0, 0, 0},                           /* xchg */
    {"bf 18 00 00 00 f3 aa", 0, 0, 0},                              /* rep stosb moves rdi */
    {"bf 18 00 00 00 0f 05", 0, 0, 0},                              /* syscall */
    {"ba 18 00 00 00 b4 07 89 d7", 1, 24, 24},                      /* mov $7, %ah */
    {"b8 18 00 00 00 b4 07 89 c7", 0, 0, 0},                        /* the same, of it */
    {"b8 18 00 00 00 99 89 d7", 0, 0, 0},                           /* cltd writes edx */
    {"6a 28 48 89 e0 48 89 30 5f", 0, 0, 0},                        /* stored to through rax */
};

static void
test_straight(void)
{
    g_autoptr(PmFlow) flow = pm_flow_new(&pm_machine_x86_64);
    g_assert_nonnull(flow);
    for (gsize i = 0; i < G_N_ELEMENTS(straight); i++) {
        const Straight *one = &straight[i];
        Code code = {.count = 0};
        emit(&code, one->before);
        emit_to(&code, "e8", WANTED);
        emit(&code, "c3 90 90 90 90 90 90 90");
        const PmFlowCall call = run_code(flow, &code);
        g_test_message("%s", one->before);
        g_assert_cmpuint(call.target, ==, WANTED);
        if (one->count > 0)
            assert_set(&call.arguments[0], one->count, one->first, one->last);
        else
            g_assert_cmpuint(call.arguments[0].kind, !=, PM_VALUE_SET);
    }
}

/* A call in between destroys what it may, and keeps the rest. */
static void
test_calls_between(void)
{
    g_autoptr(PmFlow) flow = pm_flow_new(&pm_machine_x86_64);
    static const char *const volatile_moves[] = {"bf 18 00 00 00", "be 18 00 00 00",
                                                 "b8 18 00 00 00"};
    static const char *const moves_back[] = {"90", "89 f7", "89 c7"};
    for (gsize i = 0; i < G_N_ELEMENTS(moves_back); i++) {
        Code code = {.count = 0};
        emit(&code, volatile_moves[i]);
        emit_to(&code, "e8", OTHER);
        emit(&code, moves_back[i]);
        emit_to(&code, "e8", WANTED);
        emit(&code, "c3 90 90 90 90 90 90 90");
        const PmFlowCall call = run_code(flow, &code);
        g_assert_cmpuint(call.arguments[0].kind, !=, PM_VALUE_SET);
    }
    Code code = {.count = 0};
    emit(&code, "53 bb 18 00 00 00"); /* push %rbx; mov $24, %ebx */
    emit_to(&code, "e8", OTHER);
    emit(&code, "89 df"); /* mov %ebx, %edi */
    emit_to(&code, "e8", WANTED);
    emit(&code, "5b c3 90 90 90 90 90 90 90");
    PmFlowCall call = run_code(flow, &code);
    assert_set(&call.arguments[0], 1, 24, 24);

    /* A slot whose address was passed on may have been changed; its neighbour below not. */
    static const char *const slots[] = {"48 8b 7c 24 08", "48 8b 3c 24"};
    for (gsize i = 0; i < G_N_ELEMENTS(slots); i++) {
        code.count = 0;
        /* sub $24, %rsp; movq $24, (%rsp); movq $32, 8(%rsp); lea 8(%rsp), %rdi */
        emit(&code, "48 83 ec 18 48 c7 04 24 18 00 00 00 48 c7 44 24 08 20 00 00 00 "
                    "48 8d 7c 24 08");
        emit_to(&code, "e8", OTHER);
        emit(&code, slots[i]);
        emit_to(&code, "e8", WANTED);
        emit(&code, "48 83 c4 18 c3 90 90 90 90 90 90 90");
        call = run_code(flow, &code);
        if (i == 0)
            g_assert_cmpuint(call.arguments[0].kind, !=, PM_VALUE_SET);
        else
            assert_set(&call.arguments[0], 1, 24, 24);
    }
}

/* Forwarded arguments, results, functions that do not return or return what they are given. */
static void
test_functions(void)
{
    g_autoptr(PmFlow) flow = pm_flow_new(&pm_machine_x86_64);
    /* sub $8, %rsp; add $16, %rdi; call; test %rax, %rax; je die; add $8, %rsp; ret; die: … */
    Code code = {.count = 0};
    emit(&code, "48 83 ec 08 48 83 c7 10");
    emit_to(&code, "e8", WANTED);
    emit(&code, "48 85 c0 74 05 48 83 c4 08 c3");
    emit_to(&code, "e8", ENDLESS);
    PmFlowCall call = run_code(flow, &code);
    PmValue arguments[PM_ARGUMENTS];
    for (guint i = 0; i < PM_ARGUMENTS; i++)
        arguments[i] = pm_value_constant(40);
    g_assert_cmpuint(call.arguments[0].kind, ==, PM_VALUE_EXPR);
    g_assert_true(call.is_returned);
    PmExprs exprs;
    pm_exprs_init(&exprs);
    const PmExpr *expr = pm_exprs_get(pm_flow_get_exprs(flow), call.arguments[0].id);
    PmValue size = pm_expr_apply(&exprs, expr, arguments);
    assert_set(&size, 1, 56, 56);
    pm_exprs_clear(&exprs);

    /* jmp *SLOT(%rip) */
    code.count = 0;
    emit_to(&code, "ff 25", SLOT);
    call = run_code(flow, &code);
    g_assert_true(call.is_tail && call.is_returned);
    g_assert_cmpuint(call.target, ==, SLOT);

    /* mov SLOT(%rip), %rbx … call *%rbx; the result is not what is returned */
    code.count = 0;
    emit_to(&code, "53 48 8b 1d", SLOT);
    emit(&code, "bf 18 00 00 00 ff d3 31 c0 5b c3 90 90 90 90 90 90 90");
    call = run_code(flow, &code);
    g_assert_cmpuint(call.target, ==, SLOT);
    g_assert_false(call.is_returned);
    assert_set(&call.arguments[0], 1, 24, 24);

    /* mov %rax, %rdi; jmp memset */
    code.count = 0;
    emit_to(&code, "48 83 ec 08 e8", WANTED);
    emit(&code, "48 89 c7 48 83 c4 08");
    emit_to(&code, "e9", PASSING);
    call = run_code(flow, &code);
    g_assert_true(call.is_returned);
}

/* mov BASE(%rip), %rbp; call *24(%rbp), and of another member. */
static void
test_fields(void)
{
    g_autoptr(PmFlow) flow = pm_flow_new(&pm_machine_x86_64);
    Code code = {.count = 0};
    emit_to(&code, "55 48 8b 2d", BASE);
    emit(&code, "bf 18 00 00 00 ff 55 18 ff 55 20 5d c3 90 90 90 90 90 90 90");
    const PmFlowCall call = run_code(flow, &code);
    g_assert_cmphex(call.target, ==, pm_field_make(BASE, 24));
    assert_set(&call.arguments[0], 1, 24, 24);
    g_assert_true(pm_field_is_one(call.target));
    g_assert_cmphex(pm_field_get_slot(call.target), ==, BASE);
    g_assert_false(pm_field_is_one(BASE));
}

/* Whether what is kept is asked for on every way. */
static void
test_sure(void)
{
    g_autoptr(PmFlow) flow = pm_flow_new(&pm_machine_x86_64);
    /* push; call; xor %eax, %eax; pop; ret */
    Code code = {.count = 0};
    emit_to(&code, "53 e8", WANTED);
    emit(&code, "31 c0 5b c3 90 90 90 90 90 90 90");
    PmFlowCall call = run_code(flow, &code);
    g_assert_true(call.is_sure && !call.is_returned);

    /* The same where %esi is not 0. */
    code.count = 0;
    emit(&code, "53 85 f6 74 05"); /* push; test %esi, %esi; je behind the call */
    emit_to(&code, "e8", WANTED);
    emit(&code, "31 c0 5b c3 90 90 90 90 90 90 90");
    call = run_code(flow, &code);
    g_assert_false(call.is_sure);

    /* Where it is, another function returns, or ends the program. */
    static const guint64 elsewhere[] = {OTHER, ENDLESS};
    for (guint i = 0; i < G_N_ELEMENTS(elsewhere); i++) {
        code.count = 0;
        emit(&code, "53 85 f6 75 05"); /* push; test %esi, %esi; jne to the call */
        emit_to(&code, i == 0 ? "e9" : "e8", elsewhere[i]);
        emit_to(&code, "e8", WANTED);
        emit(&code, "31 c0 5b c3 90 90 90 90 90 90 90");
        call = run_code(flow, &code);
        g_assert_cmpint(call.is_sure, ==, i == 1);
    }
}

static void
assert_store(const PmFlowCall *call, guint index, gint32 offset, guint32 width, PmStoredKind kind,
             guint64 value)
{
    g_assert_cmpuint(call->store_count, >, index);
    const PmStore *store = &call->stores[index];
    g_assert_cmpint(store->offset, ==, offset);
    g_assert_cmpuint(store->width_bytes, ==, width);
    g_assert_cmpuint(store->kind, ==, kind);
    g_assert_cmphex(store->value, ==, value);
}

/* What is written to the result, until it is passed on. */
static void
test_stores(void)
{
    g_autoptr(PmFlow) flow = pm_flow_new(&pm_machine_x86_64);
    Code code = {.count = 0};
    emit(&code, "53 48 89 fb bf 30 00 00 00"); /* push %rbx; mov %rdi, %rbx; mov $48, %edi */
    emit_to(&code, "e8", WANTED);
    emit(&code, "48 8d 0d f9 0f 00 00"); /* lea 0xff9(%rip), %rcx */
    const guint64 address = CODE + code.count + 0xff9;
    emit(&code, "66 c7 40 02 05 00");       /* movw $5, 2(%rax) */
    emit(&code, "48 89 58 08");             /* mov %rbx, 8(%rax) */
    emit(&code, "48 89 48 10");             /* mov %rcx, 16(%rax) */
    emit(&code, "66 0f ef c0 0f 11 40 18"); /* pxor %xmm0, %xmm0; movups %xmm0, 24(%rax) */
    emit(&code, "48 89 40 28");             /* mov %rax, 40(%rax) */
    emit(&code, "48 89 c7");
    emit_to(&code, "e8", OTHER);
    emit(&code, "5b c3 90 90 90 90 90 90 90");
    PmFlowCall call = run_code(flow, &code);
    g_assert_cmpuint(call.store_count, ==, 6);
    assert_store(&call, 0, 0, 0, PM_STORED_PASSED, OTHER);
    assert_store(&call, 1, 2, 2, PM_STORED_CONSTANT, 5);
    assert_store(&call, 2, 8, 8, PM_STORED_ARGUMENT, 0);
    assert_store(&call, 3, 16, 8, PM_STORED_ADDRESS, address);
    assert_store(&call, 4, 24, 16, PM_STORED_CONSTANT, 0);
    assert_store(&call, 5, 40, 8, PM_STORED_RESULT, WANTED);

    /* Once it was passed on, others may write there, too. */
    code.count = 0;
    emit(&code, "53 bf 30 00 00 00");
    emit_to(&code, "e8", WANTED);
    emit(&code, "48 89 c3 48 89 c7"); /* mov %rax, %rbx; mov %rax, %rdi */
    emit_to(&code, "e8", OTHER);
    emit(&code, "c7 03 05 00 00 00 5b c3 90 90 90 90 90 90 90"); /* movl $5, (%rbx) */
    call = run_code(flow, &code);
    g_assert_cmpuint(call.store_count, ==, 2);
    assert_store(&call, 0, 0, 0, PM_STORED_PASSED, OTHER);
    assert_store(&call, 1, 0, 4, PM_STORED_CONSTANT, 5);
    g_assert_true(call.stores[1].is_late);

    /* memset() does not; and one way stores 1 where another one stores 2. */
    code.count = 0;
    emit(&code, "53 89 f3 bf 30 00 00 00"); /* push %rbx; mov %esi, %ebx; mov $48, %edi */
    emit_to(&code, "e8", WANTED);
    emit(&code, "48 89 c7 31 f6 ba 30 00 00 00"); /* mov %rax, %rdi; xor %esi, %esi; mov $48 */
    emit_to(&code, "e8", FILLING);
    emit(&code, "85 db 74 09");                /* test %ebx, %ebx; je */
    emit(&code, "c7 40 04 01 00 00 00 eb 07"); /* movl $1, 4(%rax); jmp */
    emit(&code, "c7 40 04 02 00 00 00 c7 40 08 03 00 00 00 5b c3 90 90 90 90 90 90");
    call = run_code(flow, &code);
    g_assert_cmpuint(call.store_count, ==, 4);
    assert_store(&call, 0, 0, 48, PM_STORED_CONSTANT, 0);
    assert_store(&call, 1, 4, 4, PM_STORED_CONSTANT, 1);
    assert_store(&call, 2, 4, 4, PM_STORED_CONSTANT, 2);
    assert_store(&call, 3, 8, 4, PM_STORED_CONSTANT, 3);
    g_assert_false(call.stores[1].is_late);
    g_assert_true(call.is_returned);
    g_assert_cmpint(call.returned_offset, ==, 0);

    /* memset(p, 255, 4) stores one number. */
    code.count = 0;
    emit(&code, "48 83 ec 08 bf 30 00 00 00"); /* sub $8, %rsp; mov $48, %edi */
    emit_to(&code, "e8", WANTED);
    emit(&code, "48 89 c7 be ff 00 00 00 ba 04 00 00 00"); /* mov $255, %esi; mov $4, %edx */
    emit_to(&code, "e8", FILLING);
    emit(&code, "48 83 c4 08 c3 90 90 90 90 90 90");
    call = run_code(flow, &code);
    g_assert_cmpuint(call.store_count, ==, 1);
    assert_store(&call, 0, 0, 4, PM_STORED_CONSTANT, 0xffffffff);

    /* mov $0x1234, header; lea 16(%rax), %rax; rep stosq of five zeros before */
    code.count = 0;
    emit(&code, "bf 30 00 00 00");
    emit_to(&code, "e8", WANTED);
    emit(&code, "48 89 c2 48 89 c7 b9 05 00 00 00 31 c0 f3 48 ab"); /* rep stos */
    emit(&code, "48 c7 02 34 12 00 00 48 8d 42 10 c3 90 90 90 90 90 90");
    call = run_code(flow, &code);
    assert_store(&call, 0, 0, 40, PM_STORED_CONSTANT, 0);
    assert_store(&call, 1, 0, 8, PM_STORED_CONSTANT, 0x1234);
    g_assert_cmpint(call.returned_offset, ==, 16);
}

/* What is before a call of the wanted function, and in what steps its argument grows then. */
typedef struct {
    const char *before;
    PmScale scale;
} Scaled;

#define FROM_MEMORY "48 8b 3e 48 8b 12 " /* mov (%rsi), %rdi; mov (%rdx), %rdx */
static const Scaled scaled[] = {
    {FROM_MEMORY, {1, 0}},
    {FROM_MEMORY "48 83 c7 01", {1, 1}},                             /* add $1 */
    {FROM_MEMORY "48 8d 3c 7f 48 c1 e7 04", {48, 0}},                /* lea (,%rdi,3); shl $4 */
    {FROM_MEMORY "48 8d 3c fd 10 00 00 00", {8, 16}},                /* lea 16(,%rdi,8) */
    {FROM_MEMORY "48 83 c7 02 48 c1 e7 04", {16, 32}},               /* add $2; shl $4 */
    {"69 3e e0 1f 00 00 48 63 ff", {8160, 0}},                       /* imul; movslq */
    {FROM_MEMORY "48 c1 e7 04 48 6b d2 18 48 01 d7", {8, 0}},        /* 16n + 24m */
    {FROM_MEMORY "48 6b ff 30 85 c9 75 05 bf c0 00 00 00", {48, 0}}, /* or 192 */
    {FROM_MEMORY "48 6b ff 30 85 c9 75 05 bf c8 00 00 00", {1, 0}},  /* or 200 */
    {FROM_MEMORY "48 6b ff 30 85 c9 75 04 48 6b fa 28", {1, 0}},     /* or 40m */
    {FROM_MEMORY "48 6b ff 30 48 81 ff 00 10 00 00 77 07", {48, 0}}, /* cmp $4096; ja */
    {FROM_MEMORY "48 6b ff 30 48 d1 ef", {1, 0}},                    /* shr */
    {FROM_MEMORY "48 69 ff 00 00 00 40", {1, 0}},                    /* no record */
    {FROM_MEMORY "48 81 c7 0f 01 00 00 48 83 e7 f8", {1, 264}},      /* add $271; and $-8 */
    {"48 8d 7e 01", {1, 1}},                                         /* of an argument */
};

static void
test_scales(void)
{
    g_autoptr(PmFlow) flow = pm_flow_new(&pm_machine_x86_64);
    for (gsize i = 0; i < G_N_ELEMENTS(scaled); i++) {
        Code code = {.count = 0};
        emit(&code, "48 83 ec 08");
        emit(&code, scaled[i].before);
        emit_to(&code, "e8", WANTED);
        emit(&code, "48 83 c4 08 c3 90 90 90 90 90 90 90");
        const PmFlowCall call = run_code(flow, &code);
        const PmScale scale = pm_scale_get(pm_flow_get_exprs(flow), &call.arguments[0]);
        g_test_message("%s", scaled[i].before);
        g_assert_cmpuint(scale.factor, ==, scaled[i].scale.factor);
        g_assert_cmpint(scale.added, ==, scaled[i].scale.added);
    }
}

/* Two calls, behind which the ways are one: what is written there is written to the result of
 * either, and late to that of the one that was passed on. */
static void
test_joined_stores(void)
{
    g_autoptr(PmFlow) flow = pm_flow_new(&pm_machine_x86_64);
    Code code = {.count = 0};
    emit(&code, "53 85 f6 bf 30 00 00 00 74 12"); /* test %esi, %esi; mov $48, %edi; je */
    emit_to(&code, "e8", WANTED);
    emit(&code, "48 89 c3 48 89 c7"); /* mov %rax, %rbx; mov %rax, %rdi */
    emit_to(&code, "e8", OTHER);
    emit(&code, "eb 08"); /* jmp */
    emit_to(&code, "e8", WANTED);
    emit(&code, "48 89 c3");                                                 /* mov %rax, %rbx */
    emit(&code, "c7 43 08 05 00 00 00 48 8d 43 10 5b c3 90 90 90 90 90 90"); /* movl $5, 8(%rbx) */
    const GArray *calls = run_calls(flow, &code);
    g_assert_cmpuint(calls->len, ==, 2);
    const PmFlowCall *passed = &g_array_index(calls, PmFlowCall, 0);
    const PmFlowCall *kept = &g_array_index(calls, PmFlowCall, 1);
    g_assert_cmpuint(passed->store_count, ==, 2);
    assert_store(passed, 1, 8, 4, PM_STORED_CONSTANT, 5);
    g_assert_true(passed->stores[1].is_late);
    g_assert_cmpuint(kept->store_count, ==, 1);
    assert_store(kept, 0, 8, 4, PM_STORED_CONSTANT, 5);
    g_assert_false(kept->stores[0].is_late);
    g_assert_cmpint(passed->returned_offset, ==, 16);
    g_assert_cmpint(kept->returned_offset, ==, 16);
}

/* for (edi = 8; …; edi += 8) malloc(edi), and the same without the addition. */
static void
test_loops(void)
{
    g_autoptr(PmFlow) flow = pm_flow_new(&pm_machine_x86_64);
    for (guint i = 0; i < 2; i++) {
        Code code = {.count = 0};
        emit(&code, "53 bb 08 00 00 00"); /* push %rbx; mov $8, %ebx */
        const guint top = code.count;
        emit(&code, "89 df");
        emit_to(&code, "e8", WANTED);
        emit(&code, i == 0 ? "83 c3 08 85 c0" : "90 90 90 85 c0");
        emit(&code, "75");
        code.bytes[code.count] = (guint8)(top - (code.count + 1));
        code.count++;
        emit(&code, "5b c3 90 90 90 90 90 90 90");
        const PmFlowCall call = run_code(flow, &code);
        if (i == 0)
            g_assert_cmpuint(call.arguments[0].kind, !=, PM_VALUE_SET);
        else
            assert_set(&call.arguments[0], 1, 8, 8);
    }
}

/* Any bytes are code to somebody: nothing crashes, and everything ends. */
static void
test_random_code(void)
{
    g_autoptr(PmFlow) flow = pm_flow_new(&pm_machine_x86_64);
    g_autoptr(GRand) random = g_rand_new_with_seed(20);
    const guint64 wanted[] = {WANTED};
    g_autoptr(PmTargets) targets = pm_targets_new(wanted, 1);
    const PmFlowTargets all = {targets, NULL, NULL, NULL};
    g_autofree guint8 *bytes = g_malloc(4096);
    for (guint round = 0; round < 200; round++) {
        for (guint i = 0; i < 4096; i++)
            bytes[i] = (guint8)g_rand_int(random);
        /* Some that branch, so that there are blocks. */
        for (guint i = 0; i < 4096; i += 16)
            bytes[i] = (guint8)(0x70 + g_rand_int_range(random, 0, 16));
        const PmCodeRange range = {CODE, CODE + 4096, bytes};
        const PmFunctionCode function = {
            .ranges = &range, .range_count = 1, .entry = CODE, .read = read_nothing};
        (void)pm_flow_run(flow, &function, &all);
    }
    /* Of a function that frame descriptions put where no code is there are no bytes at all. */
    const PmFunctionCode nowhere = {.entry = CODE, .read = read_nothing};
    g_assert_cmpuint(pm_flow_run(flow, &nowhere, &all)->len, ==, 0);
}

/* Cases of an interpreter that fetches the next instruction in each of them. */
#define CASES      G_GUINT64_CONSTANT(4000)
#define CASE_BYTES 7
#define CASE_HEAD  16
#define CASE_FIRST (CODE + CASE_HEAD)
#define TABLE      G_GUINT64_CONSTANT(0x20000)

static gboolean
read_cases(G_GNUC_UNUSED gconstpointer data, guint64 address, gpointer buffer, gsize count)
{
    const guint64 index = (address - TABLE) / 4;
    if (address < TABLE || count != 4 || index >= CASES)
        return FALSE;
    const guint32 entry = GUINT32_TO_LE((guint32)(CASE_FIRST + index * CASE_BYTES - TABLE));
    memcpy(buffer, &entry, sizeof entry);
    return TRUE;
}

/* Where each of thousands of cases jumps through the table, what that takes does not multiply. */
static void
test_cases(void)
{
    g_autoptr(PmFlow) flow = pm_flow_new(&pm_machine_x86_64);
    const guint64 wanted[] = {WANTED};
    g_autoptr(PmTargets) targets = pm_targets_new(wanted, 1);
    const PmFlowTargets all = {targets, NULL, NULL, NULL};
    g_autofree guint8 *bytes = g_malloc(CASE_HEAD + CASES * CASE_BYTES);
    Code code = {.count = 0};
    /* lea TABLE(%rip), %rdx; the same once more; jmp *%rax */
    emit_to(&code, "48 8d 15", TABLE);
    emit_to(&code, "48 8d 15", TABLE);
    emit(&code, "ff e0");
    memcpy(bytes, code.bytes, code.count);
    for (guint64 i = 0; i < CASES; i++) {
        const guint64 at = CASE_HEAD + i * CASE_BYTES;
        const guint32 distance = GUINT32_TO_LE((guint32)(WANTED - (CODE + at + 5)));
        bytes[at] = 0xe8; /* call */
        memcpy(bytes + at + 1, &distance, sizeof distance);
        bytes[at + 5] = 0xff; /* jmp *%rax */
        bytes[at + 6] = 0xe0;
    }
    const PmCodeRange range = {CODE, CASE_FIRST + CASES * CASE_BYTES, bytes};
    const PmFunctionCode function = {
        .ranges = &range, .range_count = 1, .entry = CODE, .read = read_cases};
    g_assert_cmpuint(pm_flow_run(flow, &function, &all)->len, ==, CASES);

    PmDecoder *decoder = pm_machine_x86_64.decoder_new();
    PmGraph graph;
    pm_graph_init(&graph);
    pm_graph_build(&graph, &pm_machine_x86_64, decoder, &function, NULL);
    g_assert_cmpuint(graph.table_targets->len, ==, CASES);
    pm_graph_clear(&graph);
    pm_machine_x86_64.decoder_free(decoder);
}

/* An instruction that was seen before is the same as when it was decoded. */
static void
test_memo(void)
{
    const PmMachine *machine = &pm_machine_x86_64;
    g_autofree char *bytes = NULL;
    gsize size = 0;
    g_assert_true(g_file_get_contents("/proc/self/exe", &bytes, &size, NULL));
    PmDecoder *kept = machine->decoder_new();
    PmDecoder *fresh = machine->decoder_new();
    size = MIN(size, 200000);
    for (gsize at = 0, count = 0; at < size; count++) {
        PmOp ops[PM_OPS_MAX], again[PM_OPS_MAX];
        const guint8 *code = (const guint8 *)bytes + at;
        if (count % 64 == 0) {
            machine->decoder_free(fresh);
            fresh = machine->decoder_new();
        }
        const guint first = machine->decode(kept, code, size - at, CODE + at, ops);
        const guint second = machine->decode(fresh, code, size - at, CODE + at, again);
        g_assert_cmpuint(first, ==, second);
        for (guint i = 0; i < first; i++) {
            g_assert_cmpuint(ops[i].address, ==, again[i].address);
            g_assert_cmpuint(ops[i].target, ==, again[i].target);
            g_assert_cmpuint(ops[i].kind, ==, again[i].kind);
            g_assert_cmpuint(ops[i].length, ==, again[i].length);
            g_assert_cmpuint(ops[i].clobbers, ==, again[i].clobbers);
            g_assert_cmpuint(ops[i].a.number, ==, again[i].a.number);
            g_assert_cmpuint(ops[i].b.number, ==, again[i].b.number);
            g_assert_cmpuint(ops[i].dst.reg, ==, again[i].dst.reg);
        }
        at += ops[first - 1].length;
    }
    machine->decoder_free(kept);
    machine->decoder_free(fresh);
}

/* Intel's own examples of encodings, newer than the disassembler or not. */
static void
test_lengths(void)
{
    static const struct {
        const char *hex;
        guint length;
    } cases[] = {
        {"f3 48 0f 1e c8", 5},       /* rdsspq %rax */
        {"f3 0f 1e c9", 4},          /* rdsspd %ecx */
        {"62 f1 7c 48 10 04 24", 7}, /* vmovups (%rsp), %zmm0 */
        {"c5 f9 70 c1 1b", 5},       /* vpshufd $27, %xmm1, %xmm0 */
        {"c4 e3 7d 39 c1 01", 6},    /* vextracti128 $1, %ymm0, %xmm1 */
        {"66 0f 38 f8 84 24 10 00 00 00", 10} /* movdir64b 16(%rsp), %rax */,
        {"06 00 00 00 00 00", 0}, /* none in 64-bit mode */
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        Code code = {.count = 0};
        emit(&code, cases[i].hex);
        emit(&code, "90 90 90 90 90 90 90 90");
        g_assert_cmpuint(pm_x86_measure(code.bytes, code.count), ==, cases[i].length);
    }
}

/* One common entry and two descriptions: a function, and a part with a frame of its own. */
static const guint8 frames[] = {
    0x14, 0, 0, 0, 0,    0, 0, 0, 1,    'z',  'R', 0, 1,    0x78, 16, 1, 0x1b, 12,   7,    8,
    0x90, 1, 0, 0,                                                                             /**/
    0x10, 0, 0, 0, 0x1c, 0, 0, 0, 0xe0, 0x0f, 0,   0, 0x20, 0,    0,  0, 0,    0x41, 0x0e, 16, /**/
    0x10, 0, 0, 0, 0x30, 0, 0, 0, 0xec, 0x0f, 0,   0, 0x10, 0,    0,  0, 0,    0x0e, 32,   0,  /**/
    0,    0, 0, 0,
};

static void
test_frames(void)
{
    g_autoptr(GArray) ranges = pm_frames_read(frames, sizeof frames, 0x400);
    g_assert_cmpuint(ranges->len, ==, 2);
    const PmFunctionRange *function = &g_array_index(ranges, PmFunctionRange, 0);
    g_assert_cmphex(function->start, ==, 0x1400);
    g_assert_cmphex(function->end, ==, 0x1420);
    g_assert_false(function->is_part);
    g_assert_cmphex(function[1].start, ==, 0x1420);
    g_assert_true(function[1].is_part);
    g_assert_true(pm_frames_find_range(ranges, 0x141f) == function);
    g_assert_true(pm_frames_find_range(ranges, 0x1420) == function + 1);
    g_assert_null(pm_frames_find_range(ranges, 0x13ff));
    g_assert_null(pm_frames_find_range(ranges, 0x1430));

    g_autoptr(GRand) random = g_rand_new_with_seed(5);
    for (guint i = 0; i < 20000; i++) {
        guint8 damaged[sizeof frames];
        memcpy(damaged, frames, sizeof frames);
        for (guint j = 0; j < 3; j++)
            damaged[g_rand_int_range(random, 0, sizeof frames)] = (guint8)g_rand_int(random);
        g_autoptr(GArray) any =
            pm_frames_read(damaged, (gsize)g_rand_int_range(random, 0, sizeof frames + 1), 0x400);
        for (guint j = 0; j < any->len; j++)
            g_assert_cmpuint(g_array_index(any, PmFunctionRange, j).start, <,
                             g_array_index(any, PmFunctionRange, j).end);
    }
}

/* Common entries whose text never ends, and descriptions that name one and the other by turns: the
 * text is not read again for each. */
static void
test_endless_frames(void)
{
    const guint32 common_bytes = 16U << 20, count = 300000;
    const gsize size = 2 * ((gsize)common_bytes + 4) + (gsize)count * 20;
    g_autofree guint8 *bytes = g_malloc(size);
    memset(bytes, 'z', size);
    for (guint32 i = 0; i < 2; i++) {
        guint8 *common = bytes + (gsize)i * (common_bytes + 4);
        const guint32 head[] = {GUINT32_TO_LE(common_bytes), 0};
        memcpy(common, head, sizeof head);
    }
    for (guint32 i = 0; i < count; i++) {
        const guint32 at = 2 * (common_bytes + 4) + i * 20;
        const guint32 head[] = {GUINT32_TO_LE(16),
                                GUINT32_TO_LE(at + 4 - (i % 2) * (common_bytes + 4))};
        memcpy(bytes + at, head, sizeof head);
    }
    g_autoptr(GArray) ranges = pm_frames_read(bytes, size, 0x400);
    g_assert_cmpuint(ranges->len, ==, 0);
}

/* A module of which nothing is there but its build-id. */
typedef struct {
    PmModule module;
    PmModuleCode code;
} Empty;

static void
empty_init(Empty *empty)
{
    *empty = (Empty){.module = {.build_id = (char *)"0123456789abcdef"}};
    empty->code.module = &empty->module;
    empty->code.functions = g_array_new(FALSE, FALSE, sizeof(PmFunctionRange));
    empty->code.thunks = g_array_new(FALSE, FALSE, sizeof(PmReference));
    empty->code.named = g_array_new(FALSE, FALSE, sizeof(PmExport));
    empty->code.dynamic.imports = g_array_new(FALSE, FALSE, sizeof(PmImport));
}

static void
empty_clear(Empty *empty)
{
    g_array_unref(empty->code.functions);
    g_array_unref(empty->code.thunks);
    g_array_unref(empty->code.named);
    g_array_unref(empty->code.dynamic.imports);
}

static PmSiteIndex *
make_index(void)
{
    PmSiteIndex *index = pm_site_index_new();
    const guint64 asked[] = {0x100, 0x200};
    g_array_append_vals(index->asked, asked, G_N_ELEMENTS(asked));
    const PmValue n = pm_value_argument(&index->exprs, 2);
    const PmValue eight = pm_value_constant(8);
    const PmValue product = pm_value_multiply(&index->exprs, &n, &eight);
    const PmValue range = pm_value_range(0, 63);
    const PmValue values[PM_ARGUMENTS] = {pm_value_constant(24),
                                          pm_scale_set(&range, (PmScale){8, -16}),
                                          product,
                                          pm_value_open(&index->exprs, &product),
                                          pm_value_of_kind(PM_VALUE_POINTER, 0, 0x4000),
                                          n};
    for (guint i = 0; i < 3; i++) {
        PmSiteCall call = {.address = 0x1000 + i,
                           .after = 0x1005 + i,
                           .function = i == 0 ? PM_ADDR_NONE : 0xf00,
                           .target = asked[i / 2],
                           .is_tail = i == 1,
                           .is_returned = i == 2,
                           .is_sure = i == 0};
        memcpy(call.arguments, values, sizeof values);
        g_array_append_val(index->calls, call);
    }
    return index;
}

static void
damage_file(const char *path, GRand *random)
{
    g_autofree char *bytes = NULL;
    gsize count = 0;
    g_assert_true(g_file_get_contents(path, &bytes, &count, NULL));
    for (guint i = 0; i < 3; i++)
        bytes[g_rand_int_range(random, 16, (gint32)count)] = (char)g_rand_int(random);
    /* With a checksum that agrees what is read is all that stands in the way. */
    const guint64 sum = pm_cache_checksum_add(0, bytes + 16, count - 16);
    memcpy(bytes + 8, &sum, sizeof sum);
    g_assert_true(g_file_set_contents(path, bytes, (gssize)count, NULL));
}

static void
assert_same(const PmSiteIndex *index, const PmSiteIndex *read)
{
    g_assert_cmpuint(read->calls->len, ==, index->calls->len);
    for (guint i = 0; i < index->calls->len; i++) {
        const PmSiteCall *call = &g_array_index(index->calls, PmSiteCall, i);
        const PmSiteCall *copy = &g_array_index(read->calls, PmSiteCall, i);
        const gboolean same = call->address == copy->address && call->after == copy->after &&
                              call->function == copy->function && call->is_tail == copy->is_tail &&
                              call->is_returned == copy->is_returned &&
                              call->is_sure == copy->is_sure;
        g_assert_true(same);
        for (guint j = 0; j < PM_ARGUMENTS; j++)
            g_assert_true(pm_value_equals(&call->arguments[j], &copy->arguments[j]));
    }
}

/* How many of 300 damaged files are refused. */
static guint
count_refused(PmSiteIndex *index, const PmModuleCode *code, const char *folder, const char *path)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(9);
    gboolean was_damaged = FALSE;
    guint refused = 0;
    for (guint i = 0; i < 300; i++) {
        g_autoptr(PmSiteIndex) any = pm_site_index_new();
        pm_site_index_save(index, code, folder);
        damage_file(path, random);
        if (pm_site_index_load(any, code, folder, &was_damaged))
            continue;
        g_assert_true(was_damaged);
        g_assert_cmpuint(any->calls->len, ==, 0);
        refused++;
    }
    return refused;
}

static void
test_file(void)
{
    g_autofree char *folder = g_dir_make_tmp("postmalloc-index-XXXXXX", NULL);
    g_autofree char *sites = g_build_filename(folder, "sites", NULL);
    g_autofree char *path = g_build_filename(sites, "0123456789abcdef", NULL);
    gboolean was_damaged = FALSE;
    Empty empty;
    empty_init(&empty);
    g_autoptr(PmSiteIndex) index = make_index();
    g_autoptr(PmSiteIndex) read = pm_site_index_new();
    g_assert_false(pm_site_index_load(read, &empty.code, folder, &was_damaged));
    g_assert_false(was_damaged);
    pm_site_index_save(index, &empty.code, folder);
    g_assert_true(pm_site_index_load(read, &empty.code, folder, &was_damaged));
    assert_same(index, read);
    g_assert_cmpuint(count_refused(index, &empty.code, folder, path), >, 30);
    /* Other code has the same build-id: it was read in part. */
    pm_site_index_save(index, &empty.code, folder);
    empty.code.missing_bytes = 4096;
    g_autoptr(PmSiteIndex) other = pm_site_index_new();
    g_assert_false(pm_site_index_load(other, &empty.code, folder, &was_damaged));
    empty_clear(&empty);
    (void)g_remove(path);
    (void)g_remove(sites);
    (void)g_remove(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sites/numbers", test_numbers);
    g_test_add_func("/sites/expressions", test_expressions);
    g_test_add_func("/sites/forms", test_forms);
    g_test_add_func("/sites/replacement", test_replacement);
    g_test_add_func("/sites/fields", test_fields);
    g_test_add_func("/sites/sure", test_sure);
    g_test_add_func("/sites/straight", test_straight);
    g_test_add_func("/sites/calls-between", test_calls_between);
    g_test_add_func("/sites/functions", test_functions);
    g_test_add_func("/sites/stores", test_stores);
    g_test_add_func("/sites/joined-stores", test_joined_stores);
    g_test_add_func("/sites/scales", test_scales);
    g_test_add_func("/sites/loops", test_loops);
    g_test_add_func("/sites/random-code", test_random_code);
    g_test_add_func("/sites/cases", test_cases);
    g_test_add_func("/sites/memo", test_memo);
    g_test_add_func("/sites/lengths", test_lengths);
    g_test_add_func("/sites/frames", test_frames);
    g_test_add_func("/sites/endless-frames", test_endless_frames);
    g_test_add_func("/sites/file", test_file);
    return g_test_run();
}
