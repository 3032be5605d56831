package cli_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"roster/cli"
	"roster/db/dbtest"
	"roster/secret"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// command is a command line, what is typed, and what is printed.
type command struct {
	key       string
	localKey  string
	in        io.Reader
	answers   bool
	out, told bytes.Buffer
}

// run runs the command, and returns its exit code.
func (c *command) run(ctx context.Context, args ...string) int {
	if c.in == nil {
		c.in = strings.NewReader("")
	}
	c.out.Reset()
	c.told.Reset()
	err := cli.Run(ctx, args, cli.Options{
		Key: secret.New(c.key), In: c.in, Out: &c.out, Err: &c.told, Answers: c.answers, Watched: c.answers,
		LocalKey: func(dataDir string) (secret.Text, error) {
			if c.localKey == "" || dataDir != "./data" {
				return secret.Text{}, errors.New("no key in " + dataDir)
			}
			return secret.New(c.localKey), nil
		},
		IsLocal: func(host string) bool { ip := net.ParseIP(host); return ip.IsLoopback() || host == "localhost" },
	})
	if err != nil {
		c.told.WriteString(err.Error())
	}
	return cli.ExitCode(err)
}
