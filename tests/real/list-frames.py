# What gdb takes for the frames of each thread of a core: "THREAD tid pc pc ...", one thread a line; run by gdb -x.
# Left out are frames that share their stack with another: inlined functions, and tail calls that gdb makes up.
import gdb

gdb.execute("set backtrace past-main on")
gdb.execute("set backtrace past-entry on")
for thread in gdb.selected_inferior().threads():
    thread.switch()
    frame = gdb.newest_frame()
    words = ["THREAD", str(thread.ptid[1])]
    while frame is not None and len(words) < 1000:
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            words.append(f"{frame.pc():#x}")
        frame = frame.older()
    print(" ".join(words))
