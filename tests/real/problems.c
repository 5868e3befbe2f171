/*
 * Differences, the first few of them as text.
 */
#include "problems.h"

#include "run.h"

#define SHOWN 8

void
real_problems_init(RealProblems *problems, const char *what)
{
    *problems = (RealProblems){.what = what, .text = g_string_new(NULL)};
}

void
real_problems_add(RealProblems *problems, const char *format, ...)
{
    if (problems->count++ < SHOWN) {
        va_list arguments;
        va_start(arguments, format);
        g_string_append(problems->text, "\n    ");
        g_string_append_vprintf(problems->text, format, arguments);
        va_end(arguments);
    }
}

void
real_problems_report(RealProblems *problems)
{
    if (problems->count > 0)
        real_fail("%u %s:%s%s", problems->count, problems->what, problems->text->str,
                  problems->count > SHOWN ? "\n    …" : "");
    g_string_free(problems->text, TRUE);
}
