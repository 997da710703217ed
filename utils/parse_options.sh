# shellcheck shell=bash
# Command line options of recipes; to be sourced after the defaults:
#
#   stage=1          # these lines are the list of options
#   systems="a b"
#   . utils/parse_options.sh
#
# Every variable assigned by then, unless it is readonly, can be set as --stage 3 or --stage=3; dashes in
# names are underscores. A variable that is true or false takes no third value, and none at all for true;
# of an array the first element is set. A value that is one word starting with -- needs the second form.
# --help prints the script down to the line that sources this file, then ${common_options}, a file of further
# options, and then of the script ${recipe_options} its comments, exported variables and the command in its last
# lines, which has the recipe's own defaults, where these are set.
# Other arguments stay in "$@". An option that is unknown or lacks its value ends the script: one
# line on stderr, exit status 1; familiar_options.txt has what ESPnet's recipes call some of them.

_given=${1+$(printf ' %q' "$@")} # stays, for whoever writes down what was run
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help)
            sed -e '1d' -e '/parse_options\.sh/,$d' -e '/^set -/d' -e '/^root=/d' -e '/^readonly /d' \
                -e '/^\. /d' "$0"
            [ -z "${common_options-}" ] || sed -e 1,2d "${common_options}"
            [ ! -f "${recipe_options-}" ] || sed -n -e '2,${/^#/p;/^export /p;/ defaults=(/p}' \
                -e '/^exec /i # Its defaults, where they differ from those above:' -e '/^exec /,$p' \
                "${recipe_options}"
            exit 0
            ;;
        --)
            shift
            break
            ;;
        --*) ;;
        *) break ;;
    esac
    _option=${1%%=*}
    _name=${_option#--}
    _name=${_name//-/_}
    if ! [[ ${_name} =~ ^[a-z][a-z0-9_]*$ ]] ||
        [[ $(declare -p "${_name}" 2>/dev/null) != "declare -"[!r]* ]]; then
        _here=$(awk -F ': ' -v name="${_name}" '$1 == name { print $2 }' \
            "$(dirname "${BASH_SOURCE[0]}")/familiar_options.txt")
        echo "error: $0: unknown option ${_option}${_here:+ (here: ${_here})};" \
            "$0 --help lists them" >&2
        exit 1
    fi
    if [[ $1 == *=* ]]; then
        _value=${1#*=}
    elif [[ ${!_name-} =~ ^(true|false)$ ]] && [[ ${2---} == --* ]]; then
        _value=true
    elif [ $# -ge 2 ] && [[ $2 != --* || $2 == *" "* ]]; then # or several options in one word
        _value=$2
        shift
    else
        echo "error: $0: ${_option} needs a value" >&2
        exit 1
    fi
    if [[ ${!_name-} =~ ^(true|false)$ ]] && ! [[ ${_value} =~ ^(true|false)$ ]]; then
        echo "error: $0: ${_option} is true or false, not '${_value}'" >&2
        exit 1
    fi
    printf -v "${_name}" '%s' "${_value}"
    shift
done
unset _option _name _value _here
