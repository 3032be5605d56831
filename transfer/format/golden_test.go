package format

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roster/credential"
	"roster/problem"
)

var update = flag.Bool("update", false, "write what was read of testdata/files to testdata/golden")

// report is all that reading a file says.
type report struct {
	Format   Format   `json:",omitempty"`
	Encoding string   `json:",omitempty"`
	Error    string   `json:",omitempty"`
	Records  []Record `json:",omitempty"`
}

// read returns the report of a file.
func read(t testing.TB, file []byte, o Options) report {
	t.Helper()
	r, err := Open(bytes.NewReader(file), int64(len(file)), o)
	var all report
	for err == nil {
		var record Record
		if record, err = r.Next(); err == nil {
			all.Records = append(all.Records, record)
		}
	}
	if !errors.Is(err, io.EOF) {
		all.Error = err.Error()
		if !problem.Is(err, problem.Invalid) {
			t.Errorf("the fault of a file is not INVALID, but %v", err)
		}
	}
	if r != nil {
		all.Format, all.Encoding = r.Format(), r.Encoding()
	}
	return all
}

// spreadsheet has the names of columns of the spreadsheets in testdata.
var spreadsheet = map[string]string{"email": "e-mail", "first_name": "Vorname", "last_name": "Nachname", "role_keys": "Rollen", "properties.department": "Abteilung"}

// firebase has the parameters of the example in https://github.com/firebase/scrypt.
func firebase(t testing.TB) *credential.FirebaseScrypt {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString("jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==")
	if err != nil {
		t.Fatal(err)
	}
	return &credential.FirebaseScrypt{SignerKey: key, SaltSeparator: []byte{7}, Rounds: 8, MemoryCost: 14}
}

// Each file in testdata/files is read as testdata/golden has it.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/files/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var o Options
			if strings.HasPrefix(filepath.Base(path), "firebase") || strings.HasSuffix(path, "kinde-passwords.csv") {
				o.Firebase = firebase(t)
			}
			if name := filepath.Base(path); name == "spreadsheet-semicolon.csv" {
				o.Columns = spreadsheet
			} else if name == "spreadsheet-1252.csv" {
				o.Columns = map[string]string{"email": "E-Mail", "first_name": "Vorname", "last_name": "Nachname"}
			}
			got, err := json.MarshalIndent(read(t, file, o), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			golden := filepath.Join("testdata/golden", filepath.Base(path)+".json")
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v\n%s\nis not what %s has; -update writes it", err, got, golden)
			}
		})
	}
}
