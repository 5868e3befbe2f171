/*
 * The forty structures of the sample structs40, as a server with a compiler, a router and a few
 * windows in it would have them. The first six have the same size; sizes in bytes on 64 bit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* The structures, in the order of their kinds: the name of the type, and how the sample calls it.
 */
#define STRUCTS(X)                                                                                 \
    X(struct session, session)                                                                     \
    X(struct request, request)                                                                     \
    X(struct timer, timer)                                                                         \
    X(struct entry, entry)                                                                         \
    X(struct particle, particle)                                                                   \
    X(struct rbnode, rbnode)                                                                       \
    X(struct user, user)                                                                           \
    X(struct group, group)                                                                         \
    X(struct header, header)                                                                       \
    X(struct connection, connection)                                                               \
    X(struct buffer, buffer)                                                                       \
    X(struct job, job)                                                                             \
    X(struct queue, queue)                                                                         \
    X(struct hashtable, hashtable)                                                                 \
    X(struct page, page)                                                                           \
    X(struct matrix, matrix)                                                                       \
    X(point_t, point_t)                                                                            \
    X(color_t, color_t)                                                                            \
    X(struct token, token)                                                                         \
    X(struct ast, ast)                                                                             \
    X(struct symbol, symbol)                                                                       \
    X(struct scope, scope)                                                                         \
    X(struct logline, logline)                                                                     \
    X(struct packet, packet)                                                                       \
    X(struct route, route)                                                                         \
    X(struct interface, interface)                                                                 \
    X(struct account, account)                                                                     \
    X(struct transfer, transfer)                                                                   \
    X(struct lru, lru)                                                                             \
    X(struct image, image)                                                                         \
    X(struct widget, widget)                                                                       \
    X(struct event, event)                                                                         \
    X(struct trie, trie)                                                                           \
    X(struct vertex, vertex)                                                                       \
    X(struct arc, arc)                                                                             \
    X(struct config, config)                                                                       \
    X(struct plugin, plugin)                                                                       \
    X(struct histogram, histogram)                                                                 \
    X(struct counters, counters)                                                                   \
    X(date_t, date_t)

enum session_state { SESSION_NEW, SESSION_OPEN, SESSION_IDLE, SESSION_CLOSING };
enum method { METHOD_GET = 1, METHOD_PUT, METHOD_POST, METHOD_DELETE };
enum rb_color { RB_RED, RB_BLACK };
enum value_tag { VALUE_NONE, VALUE_NUMBER, VALUE_REAL, VALUE_TEXT };
enum role { ROLE_GUEST = 10, ROLE_MEMBER = 20, ROLE_OPERATOR = 30 };
enum job_state { JOB_WAITING, JOB_RUNNING, JOB_DONE, JOB_FAILED };
enum token_kind { TOKEN_NAME = 256, TOKEN_NUMBER, TOKEN_REAL, TOKEN_STRING, TOKEN_SIGN };
enum ast_kind { AST_ADD = '+', AST_SUB = '-', AST_MUL = '*', AST_DIV = '/', AST_CALL = 'c' };
enum symbol_kind { SYMBOL_VARIABLE, SYMBOL_FUNCTION, SYMBOL_TYPE };
enum level { LEVEL_DEBUG = 7, LEVEL_INFO = 6, LEVEL_NOTICE = 5, LEVEL_ERROR = 3 };
enum origin { ORIGIN_STATIC, ORIGIN_OSPF, ORIGIN_BGP };
enum duplex { DUPLEX_HALF, DUPLEX_FULL };
enum currency { CURRENCY_EUR = 978, CURRENCY_USD = 840, CURRENCY_JPY = 392 };
enum transfer_status { TRANSFER_PENDING, TRANSFER_BOOKED, TRANSFER_REJECTED };
enum pixel_format { PIXEL_RGB = 3, PIXEL_RGBA };
enum event_kind { EVENT_MOUSE, EVENT_KEY, EVENT_FOCUS };
enum plugin_flags { PLUGIN_LOADED = 1, PLUGIN_LAZY = 2, PLUGIN_UNSAFE = 4 };

/* 64 bytes each. */
struct session {
    struct session *next;
    struct user *user;
    char *peer;
    int fd;
    enum session_state state;
    uint64_t bytes_in;
    time_t since;
    struct request *current;
    bool secure;
    bool closing;
    uint16_t port;
    uint32_t timeout;
};

struct request {
    struct session *session;
    const char *path;
    enum method method;
    uint16_t status;
    bool keepalive;
    struct header *headers;
    size_t length;
    double elapsed;
    void (*done)(struct request *request);
    char tag[8];
};

struct timer {
    void (*callback)(void *argument);
    void *argument;
    uint64_t due_ns;
    uint64_t interval_ns;
    struct timer *left;
    struct timer *right;
    struct timer *parent;
    int heap_index;
    bool armed;
};

struct entry {
    struct entry *chain;
    char key[32];
    uint64_t hash;
    void *value;
    uint32_t hits;
    uint32_t flags;
};

struct particle {
    double position[3];
    double mass;
    float velocity[3];
    float charge;
    int64_t id;
    struct particle *neighbour;
};

struct rbnode {
    struct rbnode *parent;
    struct rbnode *left;
    struct rbnode *right;
    enum rb_color color;
    int key;
    union {
        long number;
        double real;
        char *text;
    } value;
    enum value_tag tag;
    unsigned height : 6;
    unsigned pinned : 1;
    char label[16];
};
_Static_assert(sizeof(struct session) == 64 && sizeof(struct request) == 64 &&
                   sizeof(struct timer) == 64 && sizeof(struct entry) == 64 &&
                   sizeof(struct particle) == 64 && sizeof(struct rbnode) == 64,
               "the sample is about six structures of one size");

/* 56 */
struct user {
    int uid;
    int gid;
    char name[24];
    char *home;
    struct group *group;
    enum role role;
    bool locked;
    bool admin;
};

/* 32 */
struct group {
    struct group *next;
    const char *name;
    struct user **members;
    unsigned member_count;
    unsigned capacity;
};

/* 24 */
struct header {
    struct header *next;
    char *name;
    char *value;
};

/* 48 */
struct connection {
    int fd;
    enum session_state state;
    struct buffer *in;
    struct buffer *out;
    struct session *session;
    uint32_t address;
    uint16_t port;
    uint8_t ttl;
    bool tls;
    double round_trip;
};

/* 32 */
struct buffer {
    char *data;
    size_t used_bytes;
    size_t size_bytes;
    struct buffer *next;
};

/* A list like the kernel's: its links lead into the jobs. */
struct link {
    struct link *next;
    struct link *previous;
};

/* 48 */
struct job {
    int priority;
    enum job_state state;
    struct link link;
    void (*run)(struct job *job);
    void *data;
    struct queue *queue;
};

/* 40 */
struct queue {
    struct link jobs;
    unsigned length;
    unsigned limit;
    const char *name;
    bool paused;
};

/* 32 */
struct hashtable {
    struct entry **buckets;
    size_t mask;
    size_t used;
    uint64_t (*hash)(const char *key);
};

/* 96 */
struct page {
    uint16_t count;
    bool leaf;
    int32_t keys[7];
    struct page *children[8];
};

/* 80 */
struct matrix {
    int rows;
    int columns;
    double cells[9];
};

/* 12 */
typedef struct {
    float x;
    float y;
    float z;
} point_t;

/* 8 */
typedef struct {
    uint8_t red;
    uint8_t green;
    uint8_t blue;
    uint8_t alpha;
    float gamma;
} color_t;

/* 32 */
struct token {
    enum token_kind kind;
    int line;
    const char *start;
    size_t length;
    union {
        long number;
        double real;
        char *text;
    } as;
};

/* 48 */
struct ast {
    enum ast_kind kind;
    struct ast *left;
    struct ast *right;
    struct token *token;
    struct symbol *symbol;
    bool constant;
};

/* 48 */
struct symbol {
    char name[20];
    enum symbol_kind kind;
    struct scope *scope;
    struct symbol *next;
    uint32_t offset : 24;
    uint32_t is_static : 1;
    uint32_t is_const : 1;
};

/* 24 */
struct scope {
    struct scope *outer;
    struct symbol *symbols;
    int depth;
    int count;
};

/* 64 + 8: 72 */
struct logline {
    int64_t time_ns;
    enum level level;
    char text[60];
};

/* 44 */
struct packet {
    uint32_t source;
    uint32_t destination;
    uint16_t source_port;
    uint16_t destination_port;
    uint8_t protocol;
    uint8_t flags;
    uint16_t length;
    uint8_t payload[28];
};

/* 32 */
struct route {
    struct route *next;
    uint32_t prefix;
    uint8_t prefix_bits;
    enum origin origin;
    struct interface *through;
};

/* 56 */
struct interface {
    char name[16];
    uint8_t mac[6];
    uint16_t mtu;
    bool up;
    enum duplex duplex;
    uint64_t received;
    uint64_t sent;
    struct route *routes;
};

/* 48 */
struct account {
    uint64_t id;
    double balance;
    double limit;
    enum currency currency;
    bool frozen;
    struct user *owner;
    time_t opened;
};

/* 48 */
struct transfer {
    struct account *from;
    struct account *to;
    double amount;
    time_t when;
    enum transfer_status status;
    char reference[12];
};

/* 40 */
struct lru {
    struct lru *newer;
    struct lru *older;
    void *object;
    size_t cost;
    uint32_t uses;
};

/* 40 */
struct image {
    int width;
    int height;
    enum pixel_format format;
    unsigned stride;
    uint8_t *pixels;
    void (*release)(void *pixels);
    float dpi;
};

struct widget;
struct widget_ops {
    const char *name;
    void (*draw)(struct widget *widget);
    bool (*click)(struct widget *widget, int x, int y);
};

/* 64 + 8: 72 */
struct widget {
    const struct widget_ops *ops;
    struct widget *parent;
    struct widget *first;
    struct widget *next;
    int x, y, width, height;
    bool visible;
    bool focused;
    char *label;
    double opacity;
};

/* 24 */
struct event {
    enum event_kind kind;
    union {
        struct {
            short x;
            short y;
        } mouse;
        struct {
            int code;
        } key;
        int widget_id;
    };
    uint64_t time_ms;
    struct widget *target;
};

/* 48 */
struct trie {
    char letter;
    bool terminal;
    uint16_t count;
    struct trie *children[4];
    struct trie *suffix;
};

/* 40 */
struct vertex {
    int id;
    float weight;
    struct arc *arcs;
    double rank;
    bool visited;
    struct vertex *queued;
};

/* 24 */
struct arc {
    struct vertex *to;
    struct arc *next;
    float cost;
};

/* 112 */
struct config {
    char key[32];
    char value[64];
    int source;
    bool overridden;
    struct config *next;
};

/* 48 */
struct plugin {
    char *path;
    void *handle;
    int (*start)(void);
    void (*stop)(void);
    enum plugin_flags flags;
    uint32_t version;
    struct plugin *next;
};

/* 72 */
struct histogram {
    double low;
    double high;
    double sum;
    uint32_t counts[12];
};

/* 56: plain integers, of which nothing can be told. */
struct counters {
    uint64_t hits;
    uint64_t misses;
    uint64_t evictions;
    uint64_t bytes;
    uint32_t shards[6];
};

/* 24 */
typedef struct {
    int year;
    int month;
    int day;
    int hour;
    int minute;
    int second;
} date_t;
