package main

import (
	"context"
	"io"
	"os"

	"roster/cli"
	"roster/egress"
	"roster/secret"
	"roster/telemetry"
)

// keyVariable is the variable with the API key of commands that talk to a server.
const keyVariable = "ROSTER_KEY"

// runClient runs a command that talks to a server. Of a server on this machine, it knows the
// key that lies in the data folder.
func runClient(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	return cli.Run(ctx, args, cli.Options{
		Key: secret.New(getenv(keyVariable)), DataDir: getenv("ROSTER_DATA_DIR"),
		LocalKey: func(dataDir string) (secret.Text, error) { return adminKeyFile(dataDir).read() }, IsLocal: egress.IsLoopback,
		In: os.Stdin, Out: stdout, Err: stderr, Watched: telemetry.IsTerminal(stderr), Answers: telemetry.IsTerminal(os.Stdin) && telemetry.IsTerminal(stderr),
	})
}
