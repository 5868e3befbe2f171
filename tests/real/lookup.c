/*
 * Chunks by their address.
 */
#include "lookup.h"

gboolean
real_lookup_init(RealLookup *lookup, RealRun *run, const char *command)
{
    *lookup = (RealLookup){.run = run};
    if (run == NULL)
        return FALSE;
    lookup->truth = real_truth_read(run->ledger);
    lookup->subject.core = run->core;
    lookup->all = real_ask(&lookup->subject, command, NULL);
    if (lookup->all == NULL)
        return FALSE;
    lookup->chunks = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    JsonArray *chunks = real_get_array(lookup->all, "data.chunks");
    for (guint i = 0; i < json_array_get_length(chunks); i++) {
        JsonObject *chunk = json_array_get_object_element(chunks, i);
        const guint64 address = real_member_address(chunk, "address");
        g_hash_table_insert(lookup->chunks, g_memdup2(&address, sizeof address), chunk);
    }
    return TRUE;
}

void
real_lookup_clear(RealLookup *lookup)
{
    if (lookup->chunks != NULL)
        g_hash_table_unref(lookup->chunks);
    if (lookup->all != NULL)
        json_node_unref(lookup->all);
    if (lookup->truth != NULL)
        real_truth_free(lookup->truth);
    if (lookup->run != NULL)
        real_run_free(lookup->run);
    *lookup = (RealLookup){0};
}

JsonObject *
real_lookup_find(const RealLookup *lookup, guint64 address)
{
    return g_hash_table_lookup(lookup->chunks, &address);
}
