/*
 * Sites of one size that differ only in what they write to their chunks: which of them made a chunk
 * can be told by its bytes alone. Every chunk has 48 bytes; what its site leaves is filled with
 * small random numbers elsewhere, where no reader of the site's code sees it; and the lowest byte
 * of the last word says for the test whose it is (the numbers of the functions below).
 *
 * Usage: evidence; ends by the signal that POSTMALLOC_END names, ABRT by default.
 */
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#define SITE     extern "C" __attribute__((noinline))
#define CHUNKS   600
#define WORDS    6
#define BYTES    (WORDS * sizeof(uint64_t))
#define TAG_WORD (WORDS - 1)
#define WIDE     6 /* this site's numbers are large ones */

static volatile int never;
static uint64_t state = 88172645463325252u;

static uint64_t
next_random()
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* The rest of a chunk of site @tag: words of which @kept has the bit stay. */
SITE void
evidence_fill(void *chunk, unsigned kept, unsigned tag)
{
    uint64_t *words = static_cast<uint64_t *>(chunk);
    for (unsigned i = 0; i < WORDS; i++)
        if ((kept >> i & 1) == 0)
            words[i] = next_random() & (tag == WIDE ? ~UINT64_C(0) : 0xffff);
    words[TAG_WORD] = (next_random() & 0xff00) | tag;
    __asm__ volatile("" : : "r"(words) : "memory");
}

SITE int
evidence_release(void *chunk)
{
    return chunk != nullptr ? never : 0;
}

namespace
{

class Widget
{
  public:
    __attribute__((always_inline)) Widget()
    {
    }
    virtual ~Widget();
    virtual int draw();
    uint64_t words[WORDS - 1];
};

class Part : public Widget
{
  public:
    __attribute__((noinline)) Part();
    int draw() override;
};

__attribute__((noinline)) Part::Part()
{
    words[1] = 77;
    __asm__ volatile("" : : "r"(this) : "memory");
}

int
Part::draw()
{
    return never + 1;
}

Widget::~Widget() = default;

int
Widget::draw()
{
    return never;
}

} // namespace

SITE void
site_1_constant()
{
    uint64_t *words = static_cast<uint64_t *>(malloc(BYTES));
    words[1] = 0x5a17c0de;
    evidence_fill(words, 1 << 1, 1);
}

SITE void
site_2_vtable()
{
    Widget *widget = new Widget;
    evidence_fill(widget, 1 << 0, 2);
}

SITE void
site_3_function()
{
    void **words = static_cast<void **>(malloc(BYTES));
    words[2] = reinterpret_cast<void *>(&evidence_release);
    evidence_fill(words, 1 << 2, 3);
}

SITE void
site_4_string()
{
    const char **words = static_cast<const char **>(malloc(BYTES));
    words[3] = "the queue that is not drained";
    evidence_fill(words, 1 << 3, 4);
}

/* Zeros, and nothing else. */
SITE void
site_5_calloc()
{
    evidence_fill(calloc(1, BYTES), 0x1f, 5);
}

SITE void
site_6_nothing()
{
    evidence_fill(malloc(BYTES), 0, 6);
}

/* A state, which changes in half of the chunks. */
SITE void
site_7_state()
{
    uint32_t *halves = static_cast<uint32_t *>(malloc(BYTES));
    halves[0] = 3;
    halves[1] = 0;
    evidence_fill(halves, 1 << 0, 7);
    if (next_random() % 2 == 0)
        halves[0] = 4 + next_random() % 8;
}

/* A record that owns another. */
SITE void
site_8_owner()
{
    void **words = static_cast<void **>(malloc(BYTES));
    words[4] = malloc(200);
    evidence_fill(words, 1 << 4, 8);
}

/* All is left to a constructor, which is a function of its own. */
SITE void
site_9_constructor()
{
    evidence_fill(new Part, 1 << 0 | 1 << 2, 9);
}

/* Never called: no chunk holds what it writes. */
SITE void
decoy_constant()
{
    uint64_t *words = static_cast<uint64_t *>(malloc(BYTES));
    words[0] = 0x0badcafe;
    words[1] = 0x12345678;
    evidence_fill(words, 3, 19);
}

SITE void
decoy_calloc()
{
    uint64_t *words = static_cast<uint64_t *>(calloc(6, 8));
    words[4] = 0xfeedf00d;
    evidence_fill(words, 0x1f, 20);
}

/* Memory that was used before: what nobody writes is not zero. */
static void
churn()
{
    static void *blocks[CHUNKS * 12];
    for (void *&block : blocks) {
        block = malloc(BYTES + 8 + static_cast<size_t>(never));
        for (unsigned i = 0; i <= WORDS; i++)
            static_cast<uint64_t *>(block)[i] = next_random();
    }
    for (void *block : blocks)
        free(block);
}

int
main()
{
    static void (*const sites[])() = {site_1_constant, site_2_vtable, site_3_function,
                                      site_4_string,   site_5_calloc, site_6_nothing,
                                      site_7_state,    site_8_owner,  site_9_constructor};
    churn();
    for (unsigned i = 0; i < CHUNKS; i++)
        for (auto *site : sites)
            site();
    if (never) {
        decoy_constant();
        decoy_calloc();
    }
    const char *end = getenv("POSTMALLOC_END");
    raise(end != nullptr && strcmp(end, "STOP") == 0 ? SIGSTOP : SIGABRT);
    return 0;
}
