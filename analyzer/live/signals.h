/*
 * Holds back the signals with which a user ends a program, while something must be tidied up first.
 */
#pragma once

#include <glib.h>
#include <signal.h>

/* @fd: readable (poll(2)) once such a signal has come. */
typedef struct {
    int fd;
    sigset_t before;
} PmSignals;

/* Holds back SIGINT, SIGTERM, SIGHUP and SIGQUIT of this thread. */
void pm_signals_hold(PmSignals *ret_signals);

/* Whether one of them has come. */
gboolean pm_signals_came(const PmSignals *signals);

/* Lets them through again: what has come ends the program now, unless it is ignored. */
void pm_signals_release(PmSignals *signals);
