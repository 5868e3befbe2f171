/*
 * The notes of a core, as Linux writes them (include/linux/elfcore.h and each architecture's
 * elf_gregset_t).
 */
#include <string.h>

#include "core-bytes.h"

/* What i386 keeps in gs: entry 12 of the GDT. */
#define GS_SELECTOR 0x63u

/* Where elf_prstatus and its registers are; indices count words from the first register. */
typedef struct {
    guint registers;
    guint pc;
    guint sp;
    gint tp; /* -1: not in the note; of i386 it is gs */
} RegisterLayout;

static RegisterLayout
get_register_layout(const CoreBuilder *builder)
{
    switch (core_builder_get_machine(builder)) {
    case EM_386:
        return (RegisterLayout){.registers = 17, .pc = 12, .sp = 15, .tp = 10};
    case EM_AARCH64:
        return (RegisterLayout){.registers = 34, .pc = 32, .sp = 31, .tp = -1};
    default:
        return (RegisterLayout){.registers = 27, .pc = 16, .sp = 19, .tp = 21};
    }
}

void
core_builder_add_note(CoreBuilder *builder, const char *name, guint32 type, const void *desc,
                      gsize desc_bytes)
{
    CoreBytes out = core_builder_get_bytes(builder, core_builder_get_notes(builder));
    core_bytes_put(out, strlen(name) + 1, 4);
    core_bytes_put(out, desc_bytes, 4);
    core_bytes_put(out, type, 4);
    g_byte_array_append(out.array, (const guint8 *)name, (guint)strlen(name) + 1);
    core_bytes_pad(out, 4);
    if (desc_bytes > 0)
        g_byte_array_append(out.array, desc, (guint)desc_bytes);
    core_bytes_pad(out, 4);
}

static void
put_zeros(CoreBytes out, guint count)
{
    for (guint i = 0; i < count; i++)
        core_bytes_put(out, 0, 1);
}

/* A string in a field of @field_bytes, cut and padded with zeros. */
static void
put_field(CoreBytes out, const char *text, guint field_bytes)
{
    guint count = MIN((guint)strlen(text), field_bytes - 1);
    g_byte_array_append(out.array, (const guint8 *)text, count);
    put_zeros(out, field_bytes - count);
}

static void
add_note_array(CoreBuilder *builder, guint32 type, const GByteArray *desc)
{
    core_builder_add_note(builder, "CORE", type, desc->data, desc->len);
}

/* The one descriptor (struct user_desc) that gs selects. */
static void
add_386_tls(CoreBuilder *builder, guint64 tp)
{
    g_autoptr(GByteArray) desc = g_byte_array_new();
    CoreBytes out = core_builder_get_bytes(builder, desc);
    core_bytes_put(out, GS_SELECTOR >> 3, 4);
    core_bytes_put(out, tp, 4);
    core_bytes_put(out, 0xfffff, 4); /* limit */
    core_bytes_put(out, 0x51, 4);    /* flags */
    core_builder_add_note(builder, "LINUX", NT_386_TLS, desc->data, desc->len);
}

void
core_builder_add_prstatus(CoreBuilder *builder, const CoreThread *thread)
{
    g_autoptr(GByteArray) desc = g_byte_array_new();
    CoreBytes out = core_builder_get_bytes(builder, desc);
    RegisterLayout layout = get_register_layout(builder);
    const gboolean is_i386 = core_builder_get_machine(builder) == EM_386;
    core_bytes_put(out, thread->signal, 4); /* pr_info.si_signo */
    put_zeros(out, 8);                      /* si_code, si_errno */
    core_bytes_put(out, thread->signal, 2); /* pr_cursig */
    core_bytes_pad(out, out.word_bytes);
    core_bytes_put_word(out, 0);         /* pr_sigpend */
    core_bytes_put_word(out, 0);         /* pr_sighold */
    core_bytes_put(out, thread->tid, 4); /* pr_pid */
    put_zeros(out, 12);                  /* pr_ppid, pr_pgrp, pr_sid */
    put_zeros(out, 8 * out.word_bytes);  /* four struct timeval */
    for (guint i = 0; i < layout.registers; i++) {
        guint64 value = 0;
        if (i == layout.pc)
            value = thread->pc;
        else if (i == layout.sp)
            value = thread->sp;
        else if ((gint)i == layout.tp)
            value = is_i386 && thread->tp != 0 ? GS_SELECTOR : thread->tp;
        core_bytes_put_word(out, value);
    }
    core_bytes_put(out, 0, 4); /* pr_fpvalid */
    core_bytes_pad(out, out.word_bytes);
    add_note_array(builder, NT_PRSTATUS, desc);
    if (is_i386 && thread->tp != 0)
        add_386_tls(builder, thread->tp);
}

void
core_builder_add_prpsinfo(CoreBuilder *builder, guint32 pid, const char *name,
                          const char *arguments)
{
    g_autoptr(GByteArray) desc = g_byte_array_new();
    CoreBytes out = core_builder_get_bytes(builder, desc);
    put_zeros(out, 4); /* pr_state, pr_sname, pr_zomb, pr_nice */
    core_bytes_pad(out, out.word_bytes);
    core_bytes_put_word(out, 0);    /* pr_flag */
    put_zeros(out, out.word_bytes); /* pr_uid, pr_gid: 2 bytes each on i386, 4 on the others */
    core_bytes_put(out, pid, 4);    /* pr_pid */
    put_zeros(out, 12);             /* pr_ppid, pr_pgrp, pr_sid */
    put_field(out, name, 16);       /* pr_fname */
    put_field(out, arguments, 80);  /* pr_psargs */
    core_bytes_pad(out, out.word_bytes);
    add_note_array(builder, NT_PRPSINFO, desc);
}

void
core_builder_add_siginfo(CoreBuilder *builder, gint32 signal, gint32 code, guint64 address)
{
    g_autoptr(GByteArray) desc = g_byte_array_new();
    CoreBytes out = core_builder_get_bytes(builder, desc);
    core_bytes_put(out, (guint32)signal, 4);
    core_bytes_put(out, 0, 4); /* si_errno */
    core_bytes_put(out, (guint32)code, 4);
    core_bytes_pad(out, out.word_bytes);
    core_bytes_put_word(out, address);
    put_zeros(out, 128 - desc->len);
    add_note_array(builder, NT_SIGINFO, desc);
}

void
core_builder_add_auxv(CoreBuilder *builder, const guint64 (*pairs)[2], gsize count)
{
    g_autoptr(GByteArray) desc = g_byte_array_new();
    CoreBytes out = core_builder_get_bytes(builder, desc);
    for (gsize i = 0; i < count; i++) {
        core_bytes_put_word(out, pairs[i][0]);
        core_bytes_put_word(out, pairs[i][1]);
    }
    add_note_array(builder, NT_AUXV, desc);
}

void
core_builder_add_file_mappings(CoreBuilder *builder, const CoreFileMapping *mappings, gsize count)
{
    g_autoptr(GByteArray) desc = g_byte_array_new();
    CoreBytes out = core_builder_get_bytes(builder, desc);
    core_bytes_put_word(out, count);
    core_bytes_put_word(out, 4096);
    for (gsize i = 0; i < count; i++) {
        core_bytes_put_word(out, mappings[i].start);
        core_bytes_put_word(out, mappings[i].end);
        core_bytes_put_word(out, mappings[i].offset_pages);
    }
    for (gsize i = 0; i < count; i++)
        g_byte_array_append(desc, (const guint8 *)mappings[i].path,
                            (guint)strlen(mappings[i].path) + 1);
    add_note_array(builder, NT_FILE, desc);
}
