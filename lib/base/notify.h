/* notify.h - systemd's readiness protocol, sd_notify(3), without its library.
 */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

/* Send one message to the socket that NOTIFY_SOCKET names. Nothing happens
 * when it is not set; who cannot be told is not waited for. */
void notify_send(const char *message);

#endif
