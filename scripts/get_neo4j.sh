#!/bin/sh
# Puts a real Neo4j (Community edition) into .tools/ and prints its folder. For tests only.
# It comes from Maven Central, pinned; Maven checks every file. Java 17 or newer is needed.
set -eu
cd "$(dirname "$0")/.."

VERSION="5.26.30"
PLUGIN="org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
HOME_FOLDER="$PWD/.tools/neo4j-$VERSION"
STARTER="tests/contract/graph/Neo4jServer.java"

if ! command -v java >/dev/null; then
    echo "Neo4j needs Java 17 or newer, and it is not installed." >&2
    exit 1
fi
if [ -e "$HOME_FOLDER/ready" ] && [ "$HOME_FOLDER/ready" -nt "$STARTER" ]; then
    echo "$HOME_FOLDER"
    exit 0
fi
for program in javac mvn; do
    if ! command -v "$program" >/dev/null; then
        echo "Neo4j needs a Java development kit and Maven, and $program is not installed." >&2
        exit 1
    fi
done

mkdir -p "$PWD/.tools"
work=$(mktemp -d "$PWD/.tools/getting-neo4j.XXXXXX")
trap 'rm -rf "$work"' EXIT
cat > "$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tests</groupId>
  <artifactId>neo4j</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.neo4j</groupId>
      <artifactId>neo4j</artifactId>
      <version>$VERSION</version>
    </dependency>
  </dependencies>
</project>
POM
mvn -B -q -C -f "$work/pom.xml" "$PLUGIN:copy-dependencies" \
    -DincludeScope=runtime -DoutputDirectory="$work/lib" >&2
javac -cp "$work/lib/*" -d "$work/classes" "$STARTER" >&2
touch "$work/ready"
# Moved into place whole, so that two who fetch it at once do not meet.
rm -rf "$HOME_FOLDER"
mv "$work" "$HOME_FOLDER"
echo "$HOME_FOLDER"
