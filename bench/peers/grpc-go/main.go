// The VerifyToken of the benchmark as a user of grpc-go writes it: generated code, stock server, no options. Every call
// unmarshals its request and marshals its answer.
//
//	grpc-go <listen> <answer> [<certificate> <key>]
//
// `listen` is host:port or unix:path; `answer` is a file with the serialized VerifyTokenResponse.
package main

import (
	"context"
	"log"
	"net"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"m2mgateway/bench/grpc-go/pb"
)

type tokenService struct {
	pb.UnimplementedTokenServiceServer
	answer *pb.VerifyTokenResponse
}

func (s *tokenService) VerifyToken(_ context.Context, request *pb.VerifyTokenRequest) (*pb.VerifyTokenResponse, error) {
	if request.GetToken() == "" {
		return nil, status.Error(codes.InvalidArgument, "token: empty")
	}
	return s.answer, nil
}

func main() {
	if len(os.Args) != 3 && len(os.Args) != 5 {
		log.Fatal("usage: grpc-go <listen> <answer> [<certificate> <key>]")
	}
	listener, err := listen(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	service, err := newTokenService(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	var options []grpc.ServerOption
	if len(os.Args) == 5 {
		tls, err := credentials.NewServerTLSFromFile(os.Args[3], os.Args[4])
		if err != nil {
			log.Fatal(err)
		}
		options = append(options, grpc.Creds(tls))
	}
	server := grpc.NewServer(options...)
	pb.RegisterTokenServiceServer(server, service)
	log.Fatal(server.Serve(listener))
}

func listen(address string) (net.Listener, error) {
	if path, isUnix := strings.CutPrefix(address, "unix:"); isUnix {
		return net.Listen("unix", path)
	}
	return net.Listen("tcp", address)
}

func newTokenService(path string) (*tokenService, error) {
	bytes, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	answer := &pb.VerifyTokenResponse{}
	return &tokenService{answer: answer}, proto.Unmarshal(bytes, answer)
}
