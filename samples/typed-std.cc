/*
 * What the containers of the C++ standard library put on the heap. In the ledger each chunk bears a
 * pattern that the name of its type is to match, with ~ for a space.
 *
 * Usage: typed-std [OPTIONS OF ledger.h]
 */
#include "ledger-cxx.h"

#include <cstdlib>
#include <cstring>
#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace
{

const char *next_name = "any";
bool counting;

} // namespace

void *
operator new(size_t bytes)
{
    void *pointer = malloc(bytes);
    if (counting)
        ledger_describe(ledger_add(pointer, bytes, LEDGER_MALLOC), LEDGER_REACHABLE, next_name);
    return pointer;
}

namespace app
{

struct Leaf {
    long number = 3;
    Leaf *other = nullptr;
};

struct Widget {
    Leaf *leaf = nullptr;
    double size = 1.5;
    long id = 0;
    ~Widget() { id = -1; }
};

struct Base {
    virtual ~Base() = default;
    long weight = 1;
};

struct Derived : Base {
    Leaf *leaf = nullptr;
    long more[5] = {1, 2, 3, 4, 5};
};

struct Store {
    std::vector<Widget> widgets;
    std::vector<Leaf *> leaves;
    std::map<long, Widget> by_id;
    std::map<std::string, Leaf *> by_name;
    std::set<int> numbers;
    std::unordered_map<int, Widget> hashed;
    std::list<Widget> listed;
    std::forward_list<Leaf> forward;
    std::deque<Leaf> queue;
    std::string title;
    std::unique_ptr<Base> base;
    std::shared_ptr<Widget> shared;
    Widget *array = nullptr;
};

Store store;

Leaf *
new_leaf()
{
    const char *name = next_name;
    next_name = "app::Leaf";
    Leaf *leaf = new Leaf;
    next_name = name;
    return leaf;
}

Widget
make_widget(long id)
{
    Widget widget;
    widget.leaf = new_leaf();
    widget.id = id;
    return widget;
}

void
fill_sequences()
{
    next_name = "app::Widget[]";
    store.widgets.reserve(20);
    for (long i = 0; i < 20; i++)
        store.widgets.push_back(make_widget(i));
    next_name = "app::Leaf~*[]";
    store.leaves.reserve(30);
    for (int i = 0; i < 30; i++)
        store.leaves.push_back(new_leaf());
    next_name = "std::_List_node<app::Widget>";
    for (long i = 0; i < 10; i++)
        store.listed.push_back(make_widget(i));
    next_name = "std::_Fwd_list_node<app::Leaf>";
    for (int i = 0; i < 10; i++)
        store.forward.emplace_front();
    /* Blocks, and the map of them. */
    next_name = "app::Leaf*[]";
    for (int i = 0; i < 200; i++)
        store.queue.emplace_back();
    next_name = "char[]";
    store.title.assign(200, 'x');
}

void
fill_associations()
{
    next_name = "std::_Rb_tree_node<std::pair<long*app::Widget>*>";
    for (long i = 0; i < 30; i++)
        store.by_id.emplace(i * 7 % 31, make_widget(i));
    next_name = "std::_Rb_tree_node<std::pair<*basic_string<*app::Leaf*";
    for (int i = 0; i < 20; i++)
        store.by_name.emplace(std::string(1, (char)('a' + i)), new_leaf());
    next_name = "std::_Rb_tree_node<int>";
    for (int i = 0; i < 20; i++)
        store.numbers.insert(i);
    next_name = "std::__detail::_Hash_node_base~*[]";
    store.hashed.reserve(100);
    next_name = "std::__detail::_Hash_node<std::pair<*int*app::Widget>*>";
    for (int i = 0; i < 50; i++)
        store.hashed.emplace(i, make_widget(i));
}

void
fill_pointers()
{
    next_name = "app::Derived";
    Derived *derived = new Derived;
    derived->leaf = new_leaf();
    store.base.reset(derived);
    next_name = "std::_Sp_counted_ptr_inplace<app::Widget,*>";
    store.shared = std::make_shared<Widget>();
    store.shared->leaf = new_leaf();
    next_name = "app::Widget[]";
    store.array = new Widget[5];
    for (int i = 0; i < 5; i++)
        store.array[i].leaf = new_leaf();
}

} // namespace app

int
main(int argc, char **argv)
{
    LedgerOptions options = {};
    options.end = LEDGER_END_ABORT;
    options.seed = 1;
    for (int i = 1; i < argc; i++)
        if (!ledger_parse_option(&options, argc, argv, &i))
            ledger_usage(argv[i]);
    ledger_open(&options);
    ledger_table_open(4096);
    counting = true;
    app::fill_sequences();
    app::fill_associations();
    app::fill_pointers();
    counting = false;
    ledger_finish(&options);
}
