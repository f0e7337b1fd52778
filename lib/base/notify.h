/* notify.h - systemd's readiness protocol, sd_notify(3), without its library.
 */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

#include <stdint.h>

/* Send one message to the socket that NOTIFY_SOCKET names. Nothing happens
 * when it is not set; who cannot be told is not waited for. */
void notify_send(const char *message);

/* Within how long the service manager wants to hear WATCHDOG=1 from this
 * process, or it is killed; 0: it does not. (sd_watchdog_enabled(3)) */
int64_t notify_watchdog_ms(void);

#endif
