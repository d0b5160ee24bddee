// Command build makes the packages of vipd: deb and rpm for each architecture, with
// an SBOM beside each and the checksums of all. The same commit and the same Go give
// the same bytes, wherever and whenever it runs. make package runs it.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// options are the flags.
type options struct {
	out     string
	version string
	arches  []arch
	formats []string
}

func main() {
	var o options
	var arches, formats string
	flag.StringVar(&o.out, "out", "dist", "write to `directory`")
	flag.StringVar(&o.version, "version", "", "name the version instead of asking git")
	flag.StringVar(&arches, "arch", "amd64,arm64,armhf", "build for these `architectures`, as Debian names them")
	flag.StringVar(&formats, "format", "deb,rpm", "build packages in these `formats`")
	flag.Parse()
	if err := o.parse(arches, formats, flag.Args()); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v; see build -h\n", err)
		os.Exit(2)
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func (o *options) parse(arches, formats string, rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected %q", rest)
	}
	for name := range strings.SplitSeq(arches, ",") {
		a, err := archNamed(name)
		if err != nil {
			return err
		}
		o.arches = append(o.arches, a)
	}
	for f := range strings.SplitSeq(formats, ",") {
		if f != "deb" && f != "rpm" {
			return fmt.Errorf("no format %q", f)
		}
		o.formats = append(o.formats, f)
	}
	return nil
}

// run builds for one architecture after the other, and sums up.
func run(o options) error {
	if _, err := os.Stat(recipe); err != nil {
		return fmt.Errorf("run it at the top of the tree: %w", err)
	}
	r, err := describe(o.version)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return fmt.Errorf("make the directory for the packages: %w", err)
	}
	temp, err := os.MkdirTemp("", "vipd-package-")
	if err != nil {
		return fmt.Errorf("make a directory to build in: %w", err)
	}
	defer os.RemoveAll(temp)
	nfpm, err := nfpmBinary()
	if err != nil {
		return err
	}
	var made []string
	for _, a := range o.arches {
		p := packager{release: r, arch: a, nfpm: nfpm, stage: filepath.Join(temp, a.name), out: o.out}
		files, err := p.build(o.formats)
		if err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		made = append(made, files...)
	}
	slices.Sort(made)
	return writeSums(o.out, made)
}
