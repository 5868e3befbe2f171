/*
 * Holding back signals; see signals.h. They stay pending: nobody reads them from the descriptor.
 */
#include "live/signals.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

void
pm_signals_hold(PmSignals *ret_signals)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    sigset_t set;
    (void)sigemptyset(&set);
    for (gsize i = 0; i < G_N_ELEMENTS(ends); i++)
        (void)sigaddset(&set, ends[i]);
    (void)pthread_sigmask(SIG_BLOCK, &set, &ret_signals->before);
    ret_signals->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

gboolean
pm_signals_came(const PmSignals *signals)
{
    struct pollfd wait = {.fd = signals->fd, .events = POLLIN};
    return signals->fd >= 0 && poll(&wait, 1, 0) > 0;
}

void
pm_signals_release(PmSignals *signals)
{
    if (signals->fd >= 0)
        close(signals->fd);
    signals->fd = -1;
    (void)pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}
