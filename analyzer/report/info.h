/*
 * The `info` command's rendering.
 */
#pragma once

#include "report/sink.h"

/* @subject: opened; its heap may be NULL. */
void pm_report_info(const PmSink *sink, const PmSubject *subject);
