/* empty_bench - what a program that calls others cannot do without: libcurl. */
#include <curl/curl.h>

int main(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return 1;
	curl_global_cleanup();
	return 0;
}
