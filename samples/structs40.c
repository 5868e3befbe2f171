/*
 * Forty structures, six of them with the same size, each in many instances that point to each other
 * as those of a real program do; in the ledger each chunk bears the name of its structure, texts
 * are "text", arrays of pointers "pointers", and blocks of random bytes "noise".
 *
 * Usage: structs40 [COUNT] [--hidden] [--noise BYTES] [--zeros BYTES] [--texts BYTES] [OPTIONS OF
 * ledger.h]          (COUNT of each: default 64)
 *
 * Each instance is held by a typed global (users[7]); with --hidden by none of them but by one
 * array of void *, so that nothing but its contents says what it is. --noise, --zeros, --texts:
 * COUNT blocks of so many bytes besides: random ones, ones that calloc() gave and nobody wrote to,
 * ones full of lines of text.
 */
#include "structs40.h"

#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define COUNT_MAX 1024
#define KINDS     40
#define WORDS     24

#define NUMBER(type, name) KIND_##name,
enum { STRUCTS(NUMBER) KIND_END };
_Static_assert(KIND_END == KINDS, "forty");

/* What holds the instances: volatile, or the compiler drops what nobody reads. */
#define ROOTS(type, name) static type *volatile name##s[COUNT_MAX];
STRUCTS(ROOTS)

static void *volatile hidden[KINDS * COUNT_MAX];
static void *volatile blocks[3 * COUNT_MAX];

static const char *const words[WORDS] = {
    "alpha", "bridge",  "cobalt",  "delta",     "ember",    "falcon", "granite",          "harbor",
    "index", "juniper", "kestrel", "lantern",   "meadow",   "nickel", "orchard",          "pepper",
    "quill", "river",   "saffron", "telescope", "umbrella", "violet", "windermere/north", "zenith"};

/* The instances while they are made; outside of malloc, unmapped before the end. */
static void *(*made)[COUNT_MAX];
static unsigned count = 64;
static uint64_t state = 1;

static uint64_t
roll(uint64_t below)
{
    return (ledger_random(&state) >> 20) % below;
}

static double
roll_real(double from, double to)
{
    return from + (to - from) * (double)roll(1000003) / 1000003.0;
}

static void *
allocate(size_t bytes, const char *name)
{
    /* Some programs clear what they allocate, others do not. */
    void *pointer = roll(3) == 0 ? calloc(1, bytes) : malloc(bytes);
    ledger_describe(ledger_add(pointer, bytes, LEDGER_MALLOC), LEDGER_REACHABLE, name);
    return pointer;
}

/* One instance of a kind. */
#define PICK(name) made[KIND_##name][roll(count)]
/* The same, or NULL once in @n times. */
#define MAYBE(name, n) (roll(n) == 0 ? NULL : PICK(name))

static char *
new_text(void)
{
    char text[96];
    int length = snprintf(text, sizeof text, "%s-%s.%u", words[roll(WORDS)], words[roll(WORDS)],
                          (unsigned)roll(1000));
    char *copy = allocate((size_t)length + 1, "text");
    memcpy(copy, text, (size_t)length + 1);
    return copy;
}

static void
set_text(char *field, size_t bytes)
{
    snprintf(field, bytes, "%s%u", words[roll(WORDS)], (unsigned)roll(100));
}

/* Functions to point to. */
#define FUNCTION(name, arguments)                                                                  \
    static __attribute__((noinline)) void name arguments                                           \
    {                                                                                              \
        __asm__ volatile("" : : "r"(#name) : "memory");                                            \
    }
FUNCTION(on_timeout, (void *argument __attribute__((unused))))
FUNCTION(on_retry, (void *argument __attribute__((unused))))
FUNCTION(finish_request, (struct request * request __attribute__((unused))))
FUNCTION(drop_request, (struct request * request __attribute__((unused))))
FUNCTION(run_sweep, (struct job * job __attribute__((unused))))
FUNCTION(run_flush, (struct job * job __attribute__((unused))))
FUNCTION(release_mapped, (void *pixels __attribute__((unused))))
FUNCTION(stop_plugin, (void))
FUNCTION(draw_button, (struct widget * widget __attribute__((unused))))

static __attribute__((noinline)) int
start_plugin(void)
{
    return 1;
}

static __attribute__((noinline)) uint64_t
hash_name(const char *key)
{
    return (uint64_t)*key * 31;
}

static bool
click_button(struct widget *widget, int x, int y)
{
    return widget->x < x && widget->y < y;
}

static const struct widget_ops button_ops = {"button", draw_button, click_button};
static const struct widget_ops label_ops = {"label", draw_button, NULL};

static void
fill_session(struct session *at, unsigned index)
{
    at->next = MAYBE(session, 8);
    at->user = PICK(user);
    at->peer = new_text();
    at->fd = 5 + (int)index;
    at->state = (enum session_state)roll(4);
    at->bytes_in = roll(1 << 30);
    at->since = 1781000000 + (time_t)roll(86400);
    at->current = MAYBE(request, 2);
    at->secure = roll(2) == 0;
    at->closing = roll(10) == 0;
    at->port = (uint16_t)(1024 + roll(60000));
    at->timeout = 30000;
}

static void
fill_request(struct request *at, unsigned index)
{
    at->session = PICK(session);
    at->path = words[roll(WORDS)];
    at->method = (enum method)(1 + roll(4));
    at->status = (uint16_t)(roll(5) == 0 ? 404 : 200);
    at->keepalive = index % 2 == 0;
    at->headers = MAYBE(header, 6);
    at->length = roll(100000);
    at->elapsed = roll_real(0.0001, 3);
    at->done = roll(3) == 0 ? drop_request : finish_request;
    set_text(at->tag, sizeof at->tag);
}

static void
fill_timer(struct timer *at, unsigned index)
{
    at->callback = roll(2) == 0 ? on_timeout : on_retry;
    at->argument = PICK(session);
    at->due_ns = 1781000000000000000 + roll(1000000000);
    at->interval_ns = 1000000 * (1 + roll(500));
    at->left = MAYBE(timer, 2);
    at->right = MAYBE(timer, 2);
    at->parent = MAYBE(timer, 10);
    at->heap_index = (int)index;
    at->armed = roll(4) != 0;
}

static void
fill_entry(struct entry *at, unsigned index)
{
    at->chain = MAYBE(entry, 2);
    set_text(at->key, sizeof at->key);
    at->hash = ledger_random(&state);
    at->value = index % 2 == 0 ? PICK(user) : PICK(account);
    at->hits = (uint32_t)roll(5000);
    at->flags = (uint32_t)(roll(2) * 0x100);
}

static void
fill_particle(struct particle *at, unsigned index)
{
    for (unsigned i = 0; i < 3; i++) {
        at->position[i] = roll_real(-100, 100);
        at->velocity[i] = (float)roll_real(-1, 1);
    }
    at->mass = roll_real(0.1, 10);
    at->charge = roll(2) == 0 ? -1 : 1;
    at->id = 1000 + index;
    at->neighbour = MAYBE(particle, 9);
}

static void
fill_rbnode(struct rbnode *at, unsigned index)
{
    at->parent = MAYBE(rbnode, 20);
    at->left = MAYBE(rbnode, 2);
    at->right = MAYBE(rbnode, 2);
    at->color = (enum rb_color)roll(2);
    at->key = (int)index * 7;
    at->tag = (enum value_tag)roll(4);
    at->value.number = 0;
    if (at->tag == VALUE_NUMBER)
        at->value.number = (long)roll(1000);
    else if (at->tag == VALUE_REAL)
        at->value.real = roll_real(0, 1);
    else if (at->tag == VALUE_TEXT)
        at->value.text = new_text();
    at->height = (unsigned)roll(12) & 63;
    at->pinned = roll(9) == 0;
    set_text(at->label, sizeof at->label);
}

static void
fill_user(struct user *at, unsigned index)
{
    at->uid = 1000 + (int)index;
    at->gid = 100;
    set_text(at->name, sizeof at->name);
    at->home = new_text();
    at->group = PICK(group);
    at->role = (enum role)(10 + 10 * roll(3));
    at->locked = roll(9) == 0;
    at->admin = roll(5) == 0;
}

static void *
new_pointers(size_t pointers)
{
    return allocate(pointers * sizeof(void *), "pointers");
}

static void
fill_group(struct group *at, unsigned index)
{
    at->next = index == 0 ? NULL : made[KIND_group][index - 1];
    at->name = words[index % WORDS];
    at->capacity = 8;
    at->member_count = 1 + (unsigned)roll(8);
    at->members = new_pointers(at->capacity);
    for (unsigned i = 0; i < at->capacity; i++)
        at->members[i] = i < at->member_count ? PICK(user) : NULL;
}

static void
fill_header(struct header *at, unsigned index)
{
    at->next = index % 6 == 0 ? NULL : made[KIND_header][index - 1];
    at->name = new_text();
    at->value = new_text();
}

static void
fill_connection(struct connection *at, unsigned index)
{
    at->fd = 5 + (int)index;
    at->state = (enum session_state)roll(4);
    at->in = PICK(buffer);
    at->out = MAYBE(buffer, 3);
    at->session = PICK(session);
    at->address = (uint32_t)(0x0a000000 + roll(1 << 16));
    at->port = (uint16_t)(1024 + roll(60000));
    at->ttl = 64;
    at->tls = roll(2) == 0;
    at->round_trip = roll_real(0.0001, 0.3);
}

static void
fill_buffer(struct buffer *at, unsigned index)
{
    (void)index;
    at->size_bytes = 64 * (1 + roll(4));
    at->used_bytes = 1 + roll(at->size_bytes);
    at->data = allocate(at->size_bytes, "text");
    memset(at->data, 0, at->size_bytes);
    for (size_t i = 0; i + 1 < at->used_bytes; i++)
        at->data[i] = (char)(' ' + roll(90));
    at->next = MAYBE(buffer, 2);
}

static void
fill_job(struct job *at, unsigned index)
{
    struct queue *queue = made[KIND_queue][index % count];
    at->priority = (int)roll(100) - 50;
    at->state = (enum job_state)roll(4);
    at->link.next = &((struct job *)PICK(job))->link;
    at->link.previous = &((struct job *)PICK(job))->link;
    at->run = roll(2) == 0 ? run_sweep : run_flush;
    at->data = PICK(lru);
    at->queue = queue;
}

static void
fill_queue(struct queue *at, unsigned index)
{
    at->jobs.next = &((struct job *)PICK(job))->link;
    at->jobs.previous = &((struct job *)PICK(job))->link;
    at->length = 2 + (unsigned)roll(50);
    at->limit = 1024;
    at->name = words[index % WORDS];
    at->paused = roll(3) == 0;
}

static void
fill_hashtable(struct hashtable *at, unsigned index)
{
    (void)index;
    at->mask = 15;
    at->used = 1 + roll(16);
    at->buckets = new_pointers(at->mask + 1);
    for (size_t i = 0; i <= at->mask; i++)
        at->buckets[i] = MAYBE(entry, 2);
    at->hash = hash_name;
}

static void
fill_page(struct page *at, unsigned index)
{
    at->count = (uint16_t)(1 + roll(7));
    at->leaf = index % 3 == 0;
    for (unsigned i = 0; i < 7; i++)
        at->keys[i] = i < at->count ? (int32_t)(100 * (uint64_t)i + roll(100)) : 0;
    for (unsigned i = 0; i < 8; i++)
        at->children[i] = at->leaf || i > at->count ? NULL : PICK(page);
}

static void
fill_matrix(struct matrix *at, unsigned index)
{
    (void)index;
    at->rows = at->columns = 3;
    for (unsigned i = 0; i < 9; i++)
        at->cells[i] = roll_real(-2, 2);
}

static void
fill_point_t(point_t *at, unsigned index)
{
    at->x = (float)index;
    at->y = (float)roll_real(-50, 50);
    at->z = (float)roll_real(0, 1);
}

static void
fill_color_t(color_t *at, unsigned index)
{
    (void)index;
    at->red = (uint8_t)roll(256);
    at->green = (uint8_t)roll(256);
    at->blue = (uint8_t)roll(256);
    at->alpha = 255;
    at->gamma = (float)roll_real(1.8, 2.4);
}

static void
fill_token(struct token *at, unsigned index)
{
    at->kind = (enum token_kind)(256 + roll(5));
    at->line = 1 + (int)index;
    at->start = ((struct buffer *)PICK(buffer))->data;
    at->length = 1 + roll(20);
    at->as.number = 0;
    if (at->kind == TOKEN_NUMBER)
        at->as.number = (long)roll(100000);
    else if (at->kind == TOKEN_REAL)
        at->as.real = roll_real(0, 9);
    else if (at->kind == TOKEN_STRING)
        at->as.text = new_text();
}

static void
fill_ast(struct ast *at, unsigned index)
{
    static const enum ast_kind kinds[] = {AST_ADD, AST_SUB, AST_MUL, AST_DIV, AST_CALL};
    at->kind = kinds[roll(5)];
    at->left = MAYBE(ast, 4);
    at->right = MAYBE(ast, 2);
    at->token = PICK(token);
    at->symbol = index % 2 == 0 ? PICK(symbol) : NULL;
    at->constant = roll(3) == 0;
}

static void
fill_symbol(struct symbol *at, unsigned index)
{
    set_text(at->name, sizeof at->name);
    at->kind = (enum symbol_kind)roll(3);
    at->scope = PICK(scope);
    at->next = MAYBE(symbol, 3);
    at->offset = index * 8 & 0xffffff;
    at->is_static = roll(4) == 0;
    at->is_const = roll(4) == 0;
}

static void
fill_scope(struct scope *at, unsigned index)
{
    at->outer = index == 0 ? NULL : made[KIND_scope][roll(index)];
    at->symbols = MAYBE(symbol, 5);
    at->depth = (int)(index % 8);
    at->count = (int)roll(12);
}

static void
fill_logline(struct logline *at, unsigned index)
{
    static const enum level levels[] = {LEVEL_DEBUG, LEVEL_INFO, LEVEL_NOTICE, LEVEL_ERROR};
    at->time_ns = 1781000000000000000 + (int64_t)index * 1000003;
    at->level = levels[roll(4)];
    snprintf(at->text, sizeof at->text, "worker %u: %s took %u ms", (unsigned)roll(16),
             words[roll(WORDS)], (unsigned)roll(900));
}

static void
fill_packet(struct packet *at, unsigned index)
{
    at->source = (uint32_t)(0x0a000000 + roll(1 << 16));
    at->destination = 0xc0a80001 + index;
    at->source_port = (uint16_t)(1024 + roll(60000));
    at->destination_port = 443;
    at->protocol = roll(2) == 0 ? 6 : 17;
    at->flags = (uint8_t)roll(64);
    at->length = (uint16_t)(20 + roll(1400));
    ledger_fill(at->payload, sizeof at->payload, &state, false);
}

static void
fill_route(struct route *at, unsigned index)
{
    at->next = MAYBE(route, 5);
    at->prefix = (uint32_t)(0x0a000000 + index * 256);
    at->prefix_bits = (uint8_t)(8 + roll(25));
    at->origin = (enum origin)roll(3);
    at->through = PICK(interface);
}

static void
fill_interface(struct interface *at, unsigned index)
{
    snprintf(at->name, sizeof at->name, "eth%u", index);
    ledger_fill(at->mac, sizeof at->mac, &state, false);
    at->mtu = 1500;
    at->up = roll(5) != 0;
    at->duplex = (enum duplex)roll(2);
    at->received = roll((uint64_t)1 << 40);
    at->sent = roll((uint64_t)1 << 40);
    at->routes = MAYBE(route, 4);
}

static void
fill_account(struct account *at, unsigned index)
{
    static const enum currency currencies[] = {CURRENCY_EUR, CURRENCY_USD, CURRENCY_JPY};
    at->id = 4000000000 + index;
    at->balance = roll_real(-500, 90000);
    at->limit = 500 * (double)roll(5);
    at->currency = currencies[roll(3)];
    at->frozen = roll(6) == 0;
    at->owner = PICK(user);
    at->opened = 1481000000 + (time_t)roll(300000000);
}

static void
fill_transfer(struct transfer *at, unsigned index)
{
    at->from = PICK(account);
    at->to = PICK(account);
    at->amount = roll_real(1, 5000);
    at->when = 1781000000 + (time_t)index;
    at->status = (enum transfer_status)roll(3);
    set_text(at->reference, sizeof at->reference);
}

static void
fill_lru(struct lru *at, unsigned index)
{
    at->newer = index == 0 ? NULL : made[KIND_lru][index - 1];
    at->older = index + 1 < count ? made[KIND_lru][index + 1] : NULL;
    at->object = roll(2) == 0 ? PICK(image) : PICK(page);
    at->cost = roll(4096);
    at->uses = (uint32_t)roll(300);
}

static void
fill_image(struct image *at, unsigned index)
{
    (void)index;
    at->width = 4 + (int)roll(8);
    at->height = 4 + (int)roll(8);
    at->format = (enum pixel_format)(3 + roll(2));
    at->stride = (unsigned)at->width * at->format;
    at->pixels = allocate((size_t)at->stride * (size_t)at->height, "noise");
    ledger_fill(at->pixels, (size_t)at->stride * (size_t)at->height, &state, false);
    at->release = roll(4) == 0 ? release_mapped : free;
    at->dpi = roll(2) == 0 ? 72 : 96;
}

static void
fill_widget(struct widget *at, unsigned index)
{
    at->ops = roll(2) == 0 ? &button_ops : &label_ops;
    at->parent = index == 0 ? NULL : made[KIND_widget][roll(index)];
    at->first = MAYBE(widget, 2);
    at->next = MAYBE(widget, 3);
    at->x = (int)roll(800);
    at->y = (int)roll(600);
    at->width = 10 + (int)roll(100);
    at->height = 10 + (int)roll(40);
    at->visible = roll(5) != 0;
    at->focused = index == 3;
    at->label = roll(3) == 0 ? NULL : new_text();
    at->opacity = roll(2) == 0 ? 1 : roll_real(0.2, 1);
}

static void
fill_event(struct event *at, unsigned index)
{
    at->kind = (enum event_kind)roll(3);
    if (at->kind == EVENT_MOUSE) {
        at->mouse.x = (short)roll(800);
        at->mouse.y = (short)roll(600);
    } else {
        at->widget_id = (int)roll(100);
    }
    at->time_ms = 90000 + index * 17;
    at->target = MAYBE(widget, 5);
}

static void
fill_trie(struct trie *at, unsigned index)
{
    at->letter = (char)('a' + roll(26));
    at->terminal = roll(3) == 0;
    at->count = (uint16_t)roll(5);
    for (unsigned i = 0; i < 4; i++)
        at->children[i] = i < at->count ? PICK(trie) : NULL;
    at->suffix = index == 0 ? NULL : MAYBE(trie, 3);
}

static void
fill_vertex(struct vertex *at, unsigned index)
{
    at->id = (int)index;
    at->weight = (float)roll_real(0, 5);
    at->arcs = PICK(arc);
    at->rank = roll_real(0.0001, 0.01);
    at->visited = roll(2) == 0;
    at->queued = MAYBE(vertex, 2);
}

static void
fill_arc(struct arc *at, unsigned index)
{
    (void)index;
    at->to = PICK(vertex);
    at->next = MAYBE(arc, 3);
    at->cost = (float)roll_real(0.5, 20);
}

static void
fill_config(struct config *at, unsigned index)
{
    memset(at, 0, sizeof *at);
    snprintf(at->key, sizeof at->key, "%s.%s", words[roll(WORDS)], words[index % WORDS]);
    snprintf(at->value, sizeof at->value, "/etc/%s/%u", words[roll(WORDS)], index);
    at->source = (int)roll(3);
    at->overridden = roll(4) == 0;
    at->next = index == 0 ? NULL : made[KIND_config][index - 1];
}

static void
fill_plugin(struct plugin *at, unsigned index)
{
    at->path = new_text();
    at->handle = PICK(widget);
    at->start = start_plugin;
    at->stop = roll(3) == 0 ? NULL : stop_plugin;
    at->flags = (enum plugin_flags)roll(8);
    at->version = 0x10000 + index % 5;
    at->next = index == 0 ? NULL : made[KIND_plugin][index - 1];
}

static void
fill_histogram(struct histogram *at, unsigned index)
{
    (void)index;
    at->low = roll_real(0, 1);
    at->high = at->low + roll_real(1, 50);
    at->sum = roll_real(1000, 100000);
    for (unsigned i = 0; i < 12; i++)
        at->counts[i] = (uint32_t)roll(3000);
}

static void
fill_counters(struct counters *at, unsigned index)
{
    at->hits = roll(1000000) * index;
    at->misses = roll(100000);
    at->evictions = roll(1000);
    at->bytes = at->misses * 512;
    for (unsigned i = 0; i < 6; i++)
        at->shards[i] = (uint32_t)roll(100000);
}

static void
fill_date_t(date_t *at, unsigned index)
{
    at->year = 2020 + (int)(index % 7);
    at->month = 1 + (int)roll(12);
    at->day = 1 + (int)roll(28);
    at->hour = (int)roll(24);
    at->minute = (int)roll(60);
    at->second = (int)roll(60);
}

/* The same for every kind, whatever its type. */
#define ANY(type, name)                                                                            \
    static void fill_any_##name(void *at, unsigned index)                                          \
    {                                                                                              \
        fill_##name(at, index);                                                                    \
    }                                                                                              \
    static void hold_##name(void *at, unsigned index)                                              \
    {                                                                                              \
        name##s[index] = at;                                                                       \
    }
STRUCTS(ANY)

#define KIND(type, name) {sizeof(type), #name, fill_any_##name, hold_##name},
static const struct {
    size_t bytes;
    const char *name;
    void (*fill)(void *at, unsigned index);
    void (*hold)(void *at, unsigned index);
} kinds[KINDS] = {STRUCTS(KIND)};

/* Blocks of many sizes with random content come and go first, as in a program that has run for a
 * while: padding and slack are not zero. */
static void
churn(void)
{
    unsigned rounds = count * 60;
    void **held = mmap(NULL, rounds * sizeof *held, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (held == MAP_FAILED)
        abort();
    for (unsigned i = 0; i < rounds; i++) {
        size_t bytes = 16 + (size_t)roll(120);
        held[i] = malloc(bytes);
        ledger_fill(held[i], bytes, &state, false);
    }
    for (unsigned i = 0; i < rounds; i++)
        free(held[i]);
    munmap(held, rounds * sizeof *held);
}

static void
make_all(bool in_hiding)
{
    size_t bytes = KINDS * sizeof *made;
    made = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED)
        abort();
    /* All kinds in turn, as they come up in a program that works. */
    for (unsigned i = 0; i < count; i++) {
        for (unsigned kind = 0; kind < KINDS; kind++)
            made[kind][i] = allocate(kinds[kind].bytes, kinds[kind].name);
    }
    /* Buffers first: tokens point to their text. */
    for (unsigned i = 0; i < count; i++)
        fill_buffer(made[KIND_buffer][i], i);
    for (unsigned i = 0; i < count; i++) {
        for (unsigned kind = 0; kind < KINDS; kind++) {
            if (kind != KIND_buffer)
                kinds[kind].fill(made[kind][i], i);
            if (in_hiding)
                hidden[(size_t)kind * COUNT_MAX + i] = made[kind][i];
            else
                kinds[kind].hold(made[kind][i], i);
        }
    }
    munmap(made, bytes);
}

static void
make_blocks(size_t noise_bytes, size_t zero_bytes, size_t text_bytes)
{
    for (unsigned i = 0; i < count; i++) {
        if (noise_bytes > 0) {
            blocks[3 * (size_t)i] = allocate(noise_bytes, "noise");
            ledger_fill(blocks[3 * (size_t)i], noise_bytes, &state, false);
        }
        if (zero_bytes > 0) {
            void *block = calloc(1, zero_bytes);
            ledger_describe(ledger_add(block, zero_bytes, LEDGER_CALLOC), LEDGER_REACHABLE,
                            "zeros");
            blocks[3 * (size_t)i + 1] = block;
        }
        if (text_bytes > 0) {
            char *text = allocate(text_bytes, "text");
            for (size_t at = 0; at < text_bytes;)
                at += (size_t)snprintf(text + at, text_bytes - at, "%s ", words[roll(WORDS)]);
            blocks[3 * (size_t)i + 2] = text;
        }
    }
}

int
main(int argc, char **argv)
{
    LedgerOptions options = {.seed = 1};
    bool in_hiding = false;
    size_t noise_bytes = 0, zero_bytes = 0, text_bytes = 0;
    for (int i = 1; i < argc; i++) {
        if (ledger_parse_option(&options, argc, argv, &i))
            continue;
        if (!strcmp(argv[i], "--hidden")) {
            in_hiding = true;
        } else if (!strcmp(argv[i], "--noise")) {
            noise_bytes = (size_t)ledger_parse_number(argc, argv, &i);
        } else if (!strcmp(argv[i], "--zeros")) {
            zero_bytes = (size_t)ledger_parse_number(argc, argv, &i);
        } else if (!strcmp(argv[i], "--texts")) {
            text_bytes = (size_t)ledger_parse_number(argc, argv, &i);
        } else {
            i--;
            count = (unsigned)ledger_parse_number(argc, argv, &i);
        }
    }
    if (count < 2 || count > COUNT_MAX)
        ledger_usage("COUNT");
    state = options.seed | 1;
    ledger_open(&options);
    ledger_table_open((size_t)count * 100);
    churn();
    make_all(in_hiding);
    make_blocks(noise_bytes, zero_bytes, text_bytes);
    ledger_finish(&options);
}
