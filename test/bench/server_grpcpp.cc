// server_grpcpp - gRPC's own C++ server, by its callback API (the fastest it
// has), with the method of server_bench.c. Prints its port, serves for ever.
#include <cstdio>

#include <grpcpp/grpcpp.h>

#include "test/interop/echo.grpc.pb.h"

using gfl::test::EchoRequest;
using gfl::test::EchoResponse;
using gfl::test::EchoService;

class Echo final : public EchoService::CallbackService {
	grpc::ServerUnaryReactor *Unary(grpc::CallbackServerContext *context,
					const EchoRequest *in,
					EchoResponse *out) override
	{
		out->set_text(in->text());
		out->set_data(in->data());
		out->set_number(in->number());
		grpc::ServerUnaryReactor *reactor = context->DefaultReactor();
		reactor->Finish(grpc::Status::OK);
		return reactor;
	}
};

int main()
{
	grpc::ServerBuilder builder;
	Echo service;
	int port = 0;

	builder.AddListeningPort("127.0.0.1:0",
				 grpc::InsecureServerCredentials(), &port);
	builder.SetMaxReceiveMessageSize(-1);
	builder.RegisterService(&service);
	std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
	std::printf("%d\n", port);
	std::fflush(stdout);
	server->Wait();
}
