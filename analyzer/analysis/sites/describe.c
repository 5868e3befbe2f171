/*
 * Text for calls; see describe.h.
 */
#include "analysis/sites/describe.h"

#include "analysis/sites/scale.h"
#include "base/demangle.h"

#include <string.h>

#define CHAIN_MAX 8

/* Where the parameters of a demangled name begin, or NULL: "operator()" and "(anonymous namespace)"
 * are part of names. */
static char *
find_parameters(char *name)
{
    char *at = name;
    guint depth = 0;
    if (g_str_has_prefix(at, "(anonymous namespace)"))
        at += strlen("(anonymous namespace)");
    for (; *at != '\0'; at++) {
        if (*at == '<' && !g_str_has_suffix(name, "operator<"))
            depth++;
        else if (*at == '>' && depth > 0)
            depth--;
        else if (*at == '(' && depth == 0 && g_str_has_prefix(at, "(anonymous namespace)"))
            at += strlen("(anonymous namespace)") - 1;
        else if (*at == '(' && depth == 0 && at - name >= 8 && strncmp(at - 8, "operator", 8) == 0)
            at++;
        else if (*at == '(' && depth == 0)
            return at;
    }
    return NULL;
}

char *
pm_describe_function(const char *symbol)
{
    char *plain = pm_demangle_symbol(symbol);
    if (plain == NULL)
        return g_strdup(symbol);
    char *parameters = find_parameters(plain);
    if (parameters != NULL && parameters != plain)
        *parameters = '\0';
    return plain;
}

char *
pm_describe_forwarder(const PmSiteWorld *world, const PmForwarder *forwarder)
{
    if (forwarder->name != NULL)
        return g_strdup(forwarder->name);
    const PmModule *module = g_array_index(world->modules, PmSiteModule, forwarder->module).module;
    g_autofree char *base = g_path_get_basename(module->path);
    return g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", base,
                           forwarder->address + module->bias - module->start);
}

char **
pm_describe_chain(const PmSiteWorld *world, const PmForwarder *forwarder)
{
    g_autoptr(GStrvBuilder) chain = g_strv_builder_new();
    if (forwarder->inner == NULL)
        return NULL;
    const PmForwarder *at = forwarder->inner;
    for (guint i = 0; at != NULL && i < CHAIN_MAX; i++, at = at->inner) {
        g_autofree char *name = pm_describe_forwarder(world, at);
        g_strv_builder_add(chain, name);
    }
    return g_strv_builder_end(chain);
}

static void
append_added(GString *text, gint64 number)
{
    if (number != 0)
        g_string_append_printf(text, " %c %" G_GINT64_FORMAT, number < 0 ? '-' : '+', ABS(number));
}

/* "variable × 48 + 16" */
static void
append_scaled(GString *text, PmScale scale)
{
    g_string_append(text, "variable");
    if (scale.factor != 1)
        g_string_append_printf(text, " × %" G_GUINT64_FORMAT, scale.factor);
    append_added(text, scale.added);
}

static void
append_expr(GString *text, const PmExpr *expr)
{
    g_string_append_printf(text, "argument %u", expr->arguments[0] + 1U);
    if (expr->arguments[1] != PM_NO_ARGUMENT)
        g_string_append_printf(text, " × argument %u", expr->arguments[1] + 1U);
    for (guint i = 0; i < expr->step_count; i++) {
        const PmStep *step = &expr->steps[i];
        const gint64 number = (gint64)step->a;
        if (step->kind == PM_STEP_MULTIPLY)
            g_string_append_printf(text, " × %" G_GINT64_FORMAT, number);
        else if (step->kind == PM_STEP_ADD)
            append_added(text, number);
    }
}

static void
append_value(GString *text, const PmExprs *exprs, const PmValue *value)
{
    if (value->kind == PM_VALUE_SET) {
        for (guint i = 0; i < value->count; i++)
            g_string_append_printf(text, "%s%" G_GINT64_FORMAT, i > 0 ? " or " : "",
                                   (gint64)value->v[i]);
    } else if (value->kind == PM_VALUE_RANGE && value->v[1] <= G_MAXINT32) {
        g_string_append_printf(text, "%" G_GUINT64_FORMAT "–%" G_GUINT64_FORMAT, value->v[0],
                               value->v[1]);
    } else if (value->kind == PM_VALUE_EXPR) {
        append_expr(text, pm_exprs_get(exprs, value->id));
    } else {
        append_scaled(text, pm_scale_get(exprs, value));
    }
}

/* The arguments that make the size, in order, as bits. */
static guint
list_arguments(const PmForwarder *callee)
{
    guint used = 0;
    if (callee->known != NULL) {
        used = 1U << callee->known->size;
        if (callee->known->factor != PM_NO_ARGUMENT)
            used |= 1U << callee->known->factor;
    }
    for (guint i = 0; i < callee->size_count; i++)
        for (guint j = 0; j < 2; j++)
            if (callee->sizes[i].arguments[j] < PM_ARGUMENTS)
                used |= 1U << callee->sizes[i].arguments[j];
    return used;
}

char *
pm_describe_call(PmSiteWorld *world, const PmSiteModule *module, const PmForwarder *callee,
                 const PmSiteCall *call)
{
    g_autofree char *name = pm_describe_forwarder(world, callee);
    GString *text = g_string_new(name);
    const guint used = list_arguments(callee);
    const char *separator = "";
    g_string_append_c(text, '(');
    if (callee->known != NULL && callee->known->rule == PM_SIZE_STRING) {
        const PmValue size = pm_site_world_measure(world, module, callee, call);
        if (size.kind == PM_VALUE_SET)
            g_string_append_printf(text, "a string of %" G_GUINT64_FORMAT, size.v[0] - 1);
        else
            g_string_append(text, "variable");
        g_string_append_c(text, ')');
        return g_string_free(text, FALSE);
    }
    for (guint i = 0; i < PM_ARGUMENTS; i++) {
        if ((used >> i & 1) == 0)
            continue;
        g_string_append(text, separator);
        append_value(text, &module->index->exprs, &call->arguments[i]);
        separator = ", ";
    }
    g_string_append_c(text, ')');
    return g_string_free(text, FALSE);
}
