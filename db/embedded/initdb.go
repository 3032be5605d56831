package embedded

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ctypes are names of locales whose character type covers every script; initdb
// takes the first one that the system has. It has to be the system's, because
// pg_trgm asks the C library what a letter is, even in PostgreSQL 17 and newer,
// which have locales of their own. The last one, "C", covers ASCII only.
var ctypes = []string{"C.UTF-8", "C.utf8", "en_US.UTF-8", "UTF-8", "C"}

// create makes an empty cluster. It works under another name and renames the result,
// so that a folder called postgres is always complete.
func (c *cluster) create(ctx context.Context, sync bool) error {
	scratch := c.path + ".init"
	if err := os.RemoveAll(scratch); err != nil {
		return fmt.Errorf("removing what an earlier start left unfinished: %w", err)
	}
	if err := os.Mkdir(scratch, 0o700); err != nil {
		return fmt.Errorf("making the database: %w", err)
	}
	if err := own(scratch, c.account); err != nil {
		return fmt.Errorf("making the database: %w", err)
	}
	if err := c.initdb(ctx, scratch, sync); err != nil {
		return err
	}
	if err := os.Rename(scratch, c.path); err != nil {
		return fmt.Errorf("making the database: %w", err)
	}
	return syncFolder(filepath.Dir(c.path))
}

func (c *cluster) initdb(ctx context.Context, dir string, sync bool) error {
	args := []string{
		"--username=postgres", "--auth-local=trust", "--auth-host=reject",
		"--encoding=UTF8", "--locale=C", "--no-instructions",
	}
	if !sync {
		args = append(args, "--no-sync")
	}
	for _, ctype := range ctypes {
		if ctype == "C" {
			c.log.WarnContext(ctx, "the system has no UTF-8 locale: search will be slow for names outside ASCII")
		}
		output, err := c.initdbWith(ctx, dir, append(args, "--lc-ctype="+ctype))
		if err == nil {
			return nil
		}
		if !strings.Contains(output, "invalid locale name") {
			return fmt.Errorf("initdb: %w: %s", err, lastLine(output))
		}
	}
	return fmt.Errorf("initdb: the system has none of the locales %v", ctypes)
}

func (c *cluster) initdbWith(ctx context.Context, dir string, args []string) (output string, err error) {
	cmd := command(ctx, c.account, syscall.SIGKILL, filepath.Join(c.bin.dir, "initdb"), args...)
	name, err := handDown(cmd, dir, c.account)
	if err != nil {
		return "", err
	}
	cmd.Args = append(cmd.Args, "--pgdata="+name)
	return runLocked(cmd)
}

// lastLine returns the last line of output that reports an error, or else the last
// line.
func lastLine(output string) string {
	lines := bytes.Split(bytes.TrimSpace([]byte(output)), []byte("\n"))
	for i := len(lines) - 1; i >= 0; i-- {
		if bytes.Contains(lines[i], []byte("error: ")) || bytes.Contains(lines[i], []byte("FATAL: ")) {
			return string(lines[i])
		}
	}
	return string(lines[len(lines)-1])
}

// syncFolder makes sure that a rename in dir survives a power cut.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
