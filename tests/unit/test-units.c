/* analyzer/cli/units and report/format: what people type, and what they get to read. */
#include "cli/units.h"

#include "analysis/format.h"
#include "base/error.h"

typedef gboolean (*Parser)(const char *text, guint64 *ret_value, GError **error);

static void
assert_parses(Parser parse, const char *text, guint64 expected)
{
    g_autoptr(GError) error = NULL;
    guint64 value = 0;
    gboolean parsed = parse(text, &value, &error);
    g_assert_no_error(error);
    g_assert_true(parsed);
    g_assert_cmpuint(value, ==, expected);
}

static void
assert_refuses(Parser parse, const char *text)
{
    g_autoptr(GError) error = NULL;
    guint64 value = 4711;
    gboolean parsed = parse(text, &value, &error);
    g_test_message("'%s'", text);
    g_assert_false(parsed);
    g_assert_error(error, PM_ERROR, PM_ERROR_USAGE);
    g_assert_cmpuint(value, ==, 4711);
}

static void
test_size(void)
{
    assert_parses(pm_parse_size, "0", 0);
    assert_parses(pm_parse_size, "20", 20);
    assert_parses(pm_parse_size, "0x14", 20);
    assert_parses(pm_parse_size, "0XfF", 255);
    assert_parses(pm_parse_size, "4K", 4096);
    assert_parses(pm_parse_size, "64M", 64 << 20);
    assert_parses(pm_parse_size, "1g", 1 << 30);
    assert_parses(pm_parse_size, "2T", G_GUINT64_CONSTANT(2) << 40);
    assert_parses(pm_parse_size, "18446744073709551615", G_MAXUINT64);
    assert_parses(pm_parse_size, "0xffffffffffffffff", G_MAXUINT64);

    static const char *const bad[] = {"", "-1", "+1", " 20", "20 ", "K", "0x", "4KK", "4Kx", "1.5",
                                      "4P", "0x1g2", "ff", "4\xc3\xa4",
                                      /* One more than fits, as digits and by the suffix. */
                                      "18446744073709551616", "0x10000000000000000",
                                      "17179869184G"};
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
        assert_refuses(pm_parse_size, bad[i]);
}

static void
test_address(void)
{
    assert_parses(pm_parse_address, "0x7f12a0", 0x7f12a0);
    assert_parses(pm_parse_address, "7F12a0", 0x7f12a0);
    assert_parses(pm_parse_address, "20", 0x20);
    assert_parses(pm_parse_address, "0", 0);
    assert_parses(pm_parse_address, "0xffffffffff600000", G_GUINT64_CONSTANT(0xffffffffff600000));

    static const char *const bad[] = {
        "", "0x", "0x0x1", "xyz", "-1", "1 ", "12K", "ffffffffffffffff", "10000000000000000"};
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
        assert_refuses(pm_parse_address, bad[i]);
}

static void
test_duration(void)
{
    assert_parses(pm_parse_duration, "90d", G_GUINT64_CONSTANT(90) * 86400);
    assert_parses(pm_parse_duration, "36h", G_GUINT64_CONSTANT(36) * 3600);
    assert_parses(pm_parse_duration, "1h30m", 5400);
    assert_parses(pm_parse_duration, "5400s", 5400);
    assert_parses(pm_parse_duration, "1w2d3h4m5s", 604800 + 2 * 86400 + 3 * 3600 + 4 * 60 + 5);

    static const char *const bad[] = {"",
                                      "90",
                                      "d",
                                      "0d",
                                      "0h0s",
                                      "30m1h",
                                      "1h1h",
                                      "-1h",
                                      "1.5h",
                                      "1h ",
                                      "1h30",
                                      "1x",
                                      "1H",
                                      "18446744073709551616s",
                                      "18446744073709551615d",
                                      "213503982334601d18446744073709551615s"};
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
        assert_refuses(pm_parse_duration, bad[i]);
}

static void
test_count(void)
{
    g_autoptr(GError) error = NULL;
    guint64 value = 4711;
    g_assert_true(pm_parse_count("16", 1, 16, &value, &error));
    g_assert_cmpuint(value, ==, 16);
    static const char *const bad[] = {"0", "17", "", "1K", "0x1", "99999999999999999999"};
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(pm_parse_count(bad[i], 1, 16, &value, &error));
        g_assert_error(error, PM_ERROR, PM_ERROR_USAGE);
        g_clear_error(&error);
    }
    g_assert_cmpuint(value, ==, 16);
}

static void
test_format_numbers(void)
{
    g_assert_cmpstr(pm_format_bytes(0).text, ==, "0 B");
    g_assert_cmpstr(pm_format_bytes(999).text, ==, "999 B");
    g_assert_cmpstr(pm_format_bytes(1000).text, ==, "0.98 KiB");
    g_assert_cmpstr(pm_format_bytes(1024).text, ==, "1.00 KiB");
    g_assert_cmpstr(pm_format_bytes(G_GUINT64_CONSTANT(132) * 1024).text, ==, "132 KiB");
    g_assert_cmpstr(pm_format_bytes(72 << 20).text, ==, "72.0 MiB");
    g_assert_cmpstr(pm_format_bytes(1191853824).text, ==, "1.11 GiB");
    g_assert_cmpstr(pm_format_bytes(G_MAXUINT64).text, ==, "16.0 EiB");
    g_assert_cmpstr(pm_format_count(0).text, ==, "0");
    g_assert_cmpstr(pm_format_count(999).text, ==, "999");
    g_assert_cmpstr(pm_format_count(1000).text, ==, "1,000");
    g_assert_cmpstr(pm_format_count(37104220).text, ==, "37,104,220");
    g_assert_cmpstr(pm_format_count(G_MAXUINT64).text, ==, "18,446,744,073,709,551,615");
    g_assert_cmpstr(pm_format_things(1, "chunk").text, ==, "1 chunk");
    g_assert_cmpstr(pm_format_things(2, "chunk").text, ==, "2 chunks");
    g_assert_cmpstr(pm_format_share(0).text, ==, "0.0 %");
    g_assert_cmpstr(pm_format_share(0.0001).text, ==, "<0.1 %");
    g_assert_cmpstr(pm_format_share(0.972).text, ==, "97.2 %");
    /* Everything but one chunk is not everything. */
    g_assert_cmpstr(pm_format_share(0.99999).text, ==, "99.9 %");
    g_assert_cmpstr(pm_format_share(1).text, ==, "100.0 %");
}

/* What a core may hold must not steer the terminal. */
static void
test_sanitise(void)
{
    /* U+202E turns the text after it around. */
    static const char right_to_left[] = {'\xe2', '\x80', '\xae', '\0'};
    static const struct {
        const char *input;
        gboolean utf8;
        const char *output;
    } cases[] = {
        {"/usr/bin/app", TRUE, "/usr/bin/app"},
        {"a\033[31mb\nc\x7f", TRUE, "a\\x1b[31mb\\x0ac\\x7f"},
        {"\xc3\xa4", TRUE, "\xc3\xa4"},
        {"\xc3\xa4", FALSE, "\\xc3\\xa4"},
        {"bad \xff\xc3", TRUE, "bad \\xff\\xc3"},
        /* A C1 control. */
        {"\xc2\x9bm", TRUE, "\\xc2\\x9bm"},
        {right_to_left, TRUE, "\\xe2\\x80\\xae"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *safe = pm_sanitise(cases[i].input, cases[i].utf8);
        g_assert_cmpstr(safe, ==, cases[i].output);
    }
    g_assert_null(pm_sanitise(NULL, TRUE));
    g_autofree char *whole = pm_sanitise_short("0123456789", TRUE, 10);
    g_assert_cmpstr(whole, ==, "0123456789");
    g_autofree char *cut = pm_sanitise_short("0123456789abcdef", TRUE, 10);
    g_assert_cmpstr(cut, ==, "01...bcdef");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/units/size", test_size);
    g_test_add_func("/units/address", test_address);
    g_test_add_func("/units/duration", test_duration);
    g_test_add_func("/units/count", test_count);
    g_test_add_func("/format/numbers", test_format_numbers);
    g_test_add_func("/format/sanitise", test_sanitise);
    return g_test_run();
}
