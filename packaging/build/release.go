package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// release is what is built: a version that dpkg and rpm both understand and sort as
// intended, and the time that everything in it bears.
type release struct {
	version string
	time    time.Time
	tagged  bool
}

// describe asks git what is checked out, unless the version is given. The time is
// that of the commit, or SOURCE_DATE_EPOCH.
func describe(version string) (release, error) {
	when, err := sourceTime()
	if err != nil {
		return release{}, err
	}
	if version != "" {
		return release{version: version, time: when}, valid(version)
	}
	// Without a tag this says the commit alone.
	described, err := output("git", "describe", "--tags", "--long", "--always", "--abbrev=7", "--dirty", "--match=v[0-9]*")
	if err != nil {
		return release{}, err
	}
	committed, err := commitTime()
	if err != nil {
		return release{}, err
	}
	r := versionOf(described, committed)
	r.time = when
	return r, valid(r.version)
}

// sourceTime follows https://reproducible-builds.org/specs/source-date-epoch/.
func sourceTime() (time.Time, error) {
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		return commitTime()
	}
	t, err := unix(epoch)
	if err != nil {
		return t, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return t, nil
}

func commitTime() (time.Time, error) {
	epoch, err := output("git", "log", "-1", "--format=%ct")
	if err != nil {
		return time.Time{}, fmt.Errorf("when was the commit (outside of git give -version and SOURCE_DATE_EPOCH): %w", err)
	}
	return unix(epoch)
}

func unix(epoch string) (time.Time, error) {
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	return time.Unix(seconds, 0).UTC(), err
}

// versionOf turns the output of git describe --long into a version:
//
//	v1.2.3-0-g1f52baf       1.2.3
//	v1.3.0-rc.1-0-g1f52baf  1.3.0~rc.1, which sorts before 1.3.0
//	v1.2.3-5-g1f52baf       1.2.3+git20261122152334.1f52baf, between 1.2.3 and 1.2.4
//	1f52baf                 0.0.0~git20261122152334.1f52baf
//
// What is not committed adds ".dirty".
func versionOf(described string, committed time.Time) release {
	clean, dirty := strings.CutSuffix(described, "-dirty")
	stamp := "git" + committed.Format("20060102150405") + "."
	r := release{version: "0.0.0~" + stamp + clean}
	if m := regexp.MustCompile(`^v(.+)-(\d+)-g([0-9a-f]+)$`).FindStringSubmatch(clean); m != nil {
		r.version = fromSemver(m[1])
		if m[2] != "0" {
			r.version += "+" + stamp + m[3]
		} else {
			r.tagged = !dirty
		}
	}
	if dirty {
		r.version += ".dirty"
	}
	return r
}

// fromSemver writes a pre-release as dpkg and rpm want it.
func fromSemver(version string) string {
	base, pre, ok := strings.Cut(version, "-")
	if !ok {
		return version
	}
	return base + "~" + strings.ReplaceAll(pre, "-", ".")
}

// valid refuses what dpkg or rpm would not take for a version.
func valid(version string) error {
	if !regexp.MustCompile(`^[0-9][A-Za-z0-9.+~]*$`).MatchString(version) {
		return fmt.Errorf("%q is no version: a digit, then letters, digits and . + ~", version)
	}
	return nil
}
