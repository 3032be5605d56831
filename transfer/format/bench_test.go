package format

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// BenchmarkRead says how many records a second are read of CSV as Kinde's, and of NDJSON as
// Kinde's and our own.
func BenchmarkRead(b *testing.B) {
	var csv, ndjson bytes.Buffer
	csv.WriteString("email,id,first_name,last_name,role_keys,permission_keys,external_organization_id\n")
	const people = 100_000
	for i := range people {
		fmt.Fprintf(&csv, "person%d@example.com,id-%d,Ann%d,Lee,\"admin,editor\",read:all,org_%d\n", i, i, i, i%100)
		fmt.Fprintf(&ndjson, `{"id":"id-%d","email":"person%d@example.com","email_verified":true,"first_name":"Ann%d","last_name":"Lee","properties":{"floor":3},"organizations":[{"external_id":"org_%d","roles":["admin","editor"],"permissions":["read:all"]}]}`+"\n", i, i, i, i%100)
	}
	for name, file := range map[string][]byte{"csv": csv.Bytes(), "ndjson": ndjson.Bytes()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(file)))
			for b.Loop() {
				r, err := Open(bytes.NewReader(file), int64(len(file)), Options{})
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for ; err == nil; n++ {
					_, err = r.Next()
				}
				if err != io.EOF || n != people+1 { //nolint:errorlint // it is returned as it is
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64(b.N)*people/b.Elapsed().Seconds(), "records/s")
		})
	}
}
